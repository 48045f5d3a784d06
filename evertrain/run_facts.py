"""Owns what a training run hands to the registry of record: everything that MLflow shows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from evertrain.config import PipelineConfig
from evertrain.records import (
    BundleRef,
    Evaluation,
    GateResult,
    Snapshot,
    TrainedModel,
    Trigger,
    ValidationReport,
)

# What MLflow keeps of a tag of a model version.
_TAG_LIMIT = 5000


@dataclass(frozen=True)
class RunFacts:
    """One training run, complete: what it read, learnt, measured and judged.

    Attributes:
        config: The pipeline.
        snapshot: The rows it read.
        validation: What Great Expectations said of them.
        trained: The fitted estimator.
        bundle: What will be served.
        bundle_folder: Where the bundle's files lie on this machine.
        evaluation: The metrics of candidate and champion.
        gates: Each gate's verdict.
        run_key: Names the run: the same key is the same run, whatever happened to its process.
        config_digest: SHA-256 of what in the configuration can change the outcome.
        code_digest: SHA-256 of the code that ran.
        trigger: What started the run.
        as_of: Nothing later than this was seen.
        pictures: PNG bytes by file name.
        pages: HTML, Markdown or JSON text by file name.
    """

    # As JSON, pictures are base64.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    config: PipelineConfig
    snapshot: Snapshot
    validation: ValidationReport
    trained: TrainedModel
    bundle: BundleRef
    bundle_folder: Path
    evaluation: Evaluation
    gates: tuple[GateResult, ...]
    run_key: str
    config_digest: str
    code_digest: str
    trigger: Trigger = "manual"
    as_of: datetime | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)

    @property
    def tags(self) -> dict[str, str]:
        """What the run and its model version are found by, and what should be known of them at a glance."""
        warnings = " · ".join(self.trained.warnings)[:_TAG_LIMIT]
        return {
            "evertrain.run_key": self.run_key,
            "evertrain.pipeline": self.config.name,
            "evertrain.snapshot": self.snapshot.digest,
            "evertrain.config": self.config_digest,
            "evertrain.code": self.code_digest,
            "evertrain.bundle": self.bundle.digest,
            "evertrain.runtime": self.bundle.runtime,
            "evertrain.trigger": self.trigger,
            "evertrain.as_of": self.as_of.isoformat() if self.as_of else "",
            **({"evertrain.warnings": warnings} if warnings else {}),
        }


class _Carried(BaseModel):
    # A parameter may be infinite.
    model_config = ConfigDict(ser_json_inf_nan="constants")

    facts: RunFacts


def dump_facts(facts: RunFacts) -> dict[str, Any]:
    """Spell *facts* as JSON for a child process."""
    return _Carried(facts=facts).model_dump(mode="json", by_alias=True)


def load_facts(spelled: Mapping[str, Any]) -> RunFacts:
    """Undo ``dump_facts``."""
    # From text, since base64 is told from bytes there alone.
    return _Carried.model_validate_json(json.dumps(spelled)).facts
