"""Owns what the gates that compare two models share: the result with a gain, and "not shown"."""

from __future__ import annotations

from evertrain.records import Gain, GateEvidence, GateResult, Verdict


def with_gain(kind: str, gain: Gain, verdict: Verdict, reason: str) -> GateResult:
    """Build a verdict that rests on *gain*."""
    return GateResult(
        type=kind,
        metric=gain.metric,
        verdict=verdict,
        gain=gain.gain,
        low=gain.low,
        high=gain.high,
        reason=reason,
    )


def describe_gain(gain: Gain) -> str:
    """Spell *gain* with its interval; it is positive where the candidate is better."""
    return (
        f"gain in {gain.metric} is {gain.gain:+.4g} "
        f"({spell_percent(gain.confidence)} interval {gain.low:+.4g} to {gain.high:+.4g})"
    )


def spell_percent(confidence: float) -> str:
    """Spell a confidence as a percentage, to five digits."""
    return f"{confidence * 100:.5g} %"


def not_shown(kind: str, metric: str, evidence: GateEvidence) -> GateResult:
    """Say that nothing could be compared, and why; it doesn't hold a promotion."""
    evaluation = evidence.evaluation
    if evaluation.champion is not None:
        reason = f"the champion gives no probabilities, which {metric} needs"
    else:
        reason = evaluation.champion_missing or "there is no champion to compare with"
    return GateResult(type=kind, metric=metric, verdict="not_shown", reason=reason)
