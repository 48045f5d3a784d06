"""Owns what a process of the service reports to the store: what it serves, and what a rollout's arms did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evertrain.guardrails import ArmCounts, StepCounts

PREFIX = "replicas/"
REPORT_SECONDS, HURRIED_SECONDS = 1.0, 0.25
"""How often a process reports; the latter while a rollout runs."""
HEARD_SECONDS = 5.0
"""A process counts as one that answers while its last report is no older."""


@dataclass(frozen=True)
class ShadowTotals:
    """What a shadow's rows came to; rows, unless said otherwise.

    Attributes:
        compared: Both answers were held against each other.
        failed: The challenger raised or answered what can't be compared, or hung or ended while it had them.
        dropped: It never had them: the queue was full, or the challenger or the service was over.
        disagreeing: Of the compared ones. Classifiers: the labels differ. Regressors: the numbers lie further
            apart than a tenth of the standard deviation of stable's answers so far; models that learnt from
            different rows never agree to the last digits, so a much narrower rule would count every row.
        score_shift_sum: Of challenger minus stable, over the compared ones: the positive class's probability;
            of more than two classes that of the class that stable answered; of regressors the number.
        requests: Requests that were compared.
        slower: Of these, the ones that the challenger's model took over half as long again for as stable's,
            by its processor's time: it is made to wait for whoever answers.
    """

    compared: int = 0
    failed: int = 0
    dropped: int = 0
    disagreeing: int = 0
    score_shift_sum: float = 0.0
    requests: int = 0
    slower: int = 0


@dataclass(frozen=True)
class RolloutReport:
    """A rollout as one process sees it.

    Attributes:
        rollout: Its number.
        loaded: Whether the challenger is verified, loaded and warm.
        why: If it isn't, why.
        tripped: The guardrail that was crossed in this process; None if none was.
        steps: What the arms did, by step.
        shadow: What a shadow's rows came to; None where there is none.
    """

    rollout: int
    loaded: bool
    why: str = ""
    tripped: str | None = None
    steps: Mapping[int, StepCounts] = field(default_factory=dict)
    shadow: ShadowTotals | None = None


@dataclass(frozen=True)
class ModelReport:
    """One model as one process serves it."""

    version: int
    generation: int
    rollout: RolloutReport | None = None


@dataclass(frozen=True)
class ReplicaReport:
    """One process of the service: its name in the store, where it runs, its models by name."""

    id: str
    host: str
    pid: int
    models: Mapping[str, ModelReport] = field(default_factory=dict)


def report_key(replica: str) -> str:
    """The store's key of a process' reports."""
    return f"{PREFIX}{replica}"


def spell_report(report: ReplicaReport) -> bytes:
    """Spell a report."""
    return json.dumps(asdict(report)).encode()


def parse_report(data: bytes) -> ReplicaReport | None:
    """Read a report; None for what is none."""
    try:
        document = json.loads(data)
        models = {name: _model(each) for name, each in document["models"].items()}
        return ReplicaReport(str(document["id"]), str(document["host"]), int(document["pid"]), models)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _model(document: Mapping[str, Any]) -> ModelReport:
    rollout = document["rollout"]
    return ModelReport(
        int(document["version"]), int(document["generation"]), None if rollout is None else _rollout(rollout)
    )


def _rollout(document: Mapping[str, Any]) -> RolloutReport:
    steps = {
        int(step): StepCounts(
            float(counts["share"]), ArmCounts(**counts["stable"]), ArmCounts(**counts["challenger"])
        )
        for step, counts in document["steps"].items()
    }
    shadow = document.get("shadow")
    return RolloutReport(
        rollout=int(document["rollout"]),
        loaded=bool(document["loaded"]),
        why=str(document["why"]),
        tripped=document["tripped"],
        steps=steps,
        shadow=None if shadow is None else ShadowTotals(**shadow),
    )
