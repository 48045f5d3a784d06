"""Owns what the steps of one training run share: the pipeline, what was ingested, the claim it holds."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from evertrain.datasets import Ingested
from evertrain.outcomes import run_records
from evertrain.pipelines import Pipeline
from evertrain.records import Record, Trigger
from evertrain.registrar import Registrar

Made = TypeVar("Made", bound=Record)


class Run:
    """One training run. A plain class: Prefect looks into the fields of a dataclass parameter, not into this.

    Args:
        pipeline: What is trained.
        ingested: The snapshot, its feature plan and its classes.
        trigger: Who asked.
        as_of: What time the run was asked to see; None: now.
        fence: The number of the claim that the run writes under.
        seconds: What each step took; filled as they end.
        registrar: Does what the run needs done in MLflow.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        ingested: Ingested,
        *,
        trigger: Trigger,
        as_of: datetime | None,
        fence: int,
        seconds: dict[str, float],
        registrar: Registrar,
    ) -> None:
        self.pipeline = pipeline
        self.config = pipeline.config
        self.ingested = ingested
        self.trigger = trigger
        self.as_of = as_of
        self.fence = fence
        self.seconds = seconds
        self.registrar = registrar
        self.key, self.records = run_records(pipeline, ingested)

    def recorded(self, step: str, kind: type[Made]) -> Made | None:
        """Find what an earlier try of this very run has already made of *step*."""
        return self.records.read(step, kind)
