"""Owns the gate ``not_worse``: the candidate may not be shown to be worse than the champion."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.gates.comparison import describe_gain, not_shown, with_gain
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
        reason = f"{describe_gain(gain)}; its upper end may not be below {0 - self.margin:g}"
        return with_gain(self.type, gain, "fail" if worse else "pass", reason)
