"""Owns the gate ``beats_champion``: the candidate must be better, and shown to be."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.gates.comparison import describe_gain, not_shown, spell_percent, with_gain
from evertrain.gates.looks import judged_confidence
from evertrain.metrics import MetricName
from evertrain.numbers import Confidence, NotNegative
from evertrain.records import GateEvidence, GateResult


class BeatsChampion(BaseModel):
    """Passes if the lower end of the gain's paired interval is over ``min_gain``: equal models don't pass.

    Only this gate counts looks: the later ones at the same held-out rows are judged at higher confidence, so
    that chance alone promotes none of many challengers. The others refuse, and to refuse again costs nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["beats_champion"]
    metric: MetricName
    min_gain: NotNegative = 0.0
    confidence: Confidence = 0.95

    def check(self, evidence: GateEvidence) -> GateResult:
        """Hold the gain's lower end against ``min_gain``."""
        look = evidence.evaluation.look
        confidence = judged_confidence(self.confidence, look)
        gain = evidence.gain(self.metric, confidence)
        if gain is None:
            return not_shown(self.type, self.metric, evidence)
        shown = gain.low > self.min_gain
        reason = f"{describe_gain(gain)}; its lower end must be over {self.min_gain:g}"
        if look is not None and look > 1:
            reason += f"; look {look} at this hold-out: judged at {spell_percent(confidence)}"
        return with_gain(self.type, gain, "pass" if shown else "fail", reason)
