"""Owns the gate ``not_worse``: the candidate may not be shown to be worse than the champion."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.gates.comparison import not_shown, with_gain
from evertrain.metrics import MetricName
from evertrain.numbers import Confidence, NotNegative
from evertrain.records import GateEvidence, GateResult


class NotWorse(BaseModel):
    """Fails only if the upper end of the paired interval of the gain is below ``-margin``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["not_worse"]
    metric: MetricName
    margin: NotNegative = 0.0
    confidence: Confidence = 0.95

    def check(self, evidence: GateEvidence) -> GateResult:
        """Hold the gain's upper end against ``-margin``."""
        gain = evidence.gain(self.metric, self.confidence)
        if gain is None:
            return not_shown(self.type, self.metric, evidence)
        worse = gain.high < -self.margin
        reason = (
            f"gain in {self.metric} is {gain.gain:+.4f} ({self.confidence:.0%} interval {gain.low:+.4f} to "
            f"{gain.high:+.4f}); its upper end may not be below {-self.margin:g}"
        )
        return with_gain(self.type, gain, "fail" if worse else "pass", reason)
