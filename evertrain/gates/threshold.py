"""Owns the gate ``threshold``: the candidate's metric against a fixed limit."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from evertrain.metrics import MetricName
from evertrain.numbers import Finite
from evertrain.records import GateEvidence, GateResult


class Threshold(BaseModel):
    """Passes if the candidate's metric on the held-out rows keeps within ``min`` and ``max``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["threshold"]
    metric: MetricName
    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> Threshold:
        if self.min is None and self.max is None:
            raise ValueError("expected min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected min ({self.min:g}) to be at most max ({self.max:g})")
        return self

    def check(self, evidence: GateEvidence) -> GateResult:
        """Hold the candidate's metric against the limits."""
        value = evidence.evaluation.metrics[self.metric].value
        low_enough = self.max is None or value <= self.max
        high_enough = self.min is None or value >= self.min
        limits = " and ".join(
            f"{name} {limit:g}" for name, limit in (("min", self.min), ("max", self.max)) if limit is not None
        )
        return GateResult(
            type=self.type,
            metric=self.metric,
            verdict="pass" if low_enough and high_enough else "fail",
            reason=f"{self.metric} is {value:.6g}; the limit is {limits}",
        )
