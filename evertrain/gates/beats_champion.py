"""Owns the gate ``beats_champion``: the candidate must be better, and shown to be."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.gates.comparison import describe_gain, not_shown, with_gain
from evertrain.metrics import MetricName
from evertrain.numbers import Confidence, NotNegative
from evertrain.records import GateEvidence, GateResult


class BeatsChampion(BaseModel):
    """Passes if the lower end of the gain's paired interval is over ``min_gain``: equal models don't pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["beats_champion"]
    metric: MetricName
    min_gain: NotNegative = 0.0
    confidence: Confidence = 0.95

    def check(self, evidence: GateEvidence) -> GateResult:
        """Hold the gain's lower end against ``min_gain``."""
        gain = evidence.gain(self.metric, self.confidence)
        if gain is None:
            return not_shown(self.type, self.metric, evidence)
        shown = gain.low > self.min_gain
        reason = f"{describe_gain(gain)}; its lower end must be over {self.min_gain:g}"
        return with_gain(self.type, gain, "pass" if shown else "fail", reason)
