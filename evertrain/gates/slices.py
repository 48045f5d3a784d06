"""Owns the gate ``slices``: no slice of the held-out rows may lose more than a margin."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.gates.comparison import not_shown, spell_percent
from evertrain.metrics import MetricName
from evertrain.numbers import Count, NotNegative
from evertrain.records import GateEvidence, GateResult, SliceGain, SliceGains

MOST_NAMED = 3


class SlicesGate(BaseModel):
    """Fails where a slice's gain is, with Holm's correction over slices, below ``-max_regression``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["slices"]
    metric: MetricName
    max_regression: NotNegative = 0.03
    min_rows: Count = 200

    def check(self, evidence: GateEvidence) -> GateResult:
        """Look for slices that lose too much; those that can't be compared are named, and hold nothing."""
        seen = evidence.slice_gains(self.metric, self.max_regression, self.min_rows)
        if seen is None:
            return not_shown(self.type, self.metric, evidence)
        if not seen.shown:
            reason = _spell_missing(seen) or "evaluation.slices names no column"
            return GateResult(
                type=self.type, metric=self.metric, verdict="not_shown", reason=reason, slices=seen.slices
            )
        worst = seen.slices[0]
        failed = [each for each in seen.slices if each.verdict == "fail"]
        told = self._spell_failed(failed) if failed else f"of {seen.shown} slices none loses too much"
        # The order is by how near the upper end is, not by the gain alone: a small slice may lose more.
        nearest = "the worst" if failed else "the nearest to it"
        reason = "; ".join(
            part
            for part in (told, f"{nearest}: {_spell_gain(worst)}", self._limit(), _spell_missing(seen))
            if part
        )
        return GateResult(
            type=self.type,
            metric=self.metric,
            verdict="fail" if failed else "pass",
            gain=worst.gain,
            low=worst.low,
            high=worst.high,
            reason=reason,
            slices=seen.slices,
        )

    def _spell_failed(self, failed: list[SliceGain]) -> str:
        named = ", ".join(_name(each) for each in failed[:MOST_NAMED])
        more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        return f"{named}{more} {'lose' if len(failed) > 1 else 'loses'} too much in {self.metric}"

    def _limit(self) -> str:
        return f"no upper end may be below {0 - self.max_regression:g}"


def _spell_gain(worst: SliceGain) -> str:
    assert worst.gain is not None
    assert worst.confidence is not None
    return (
        f"{_name(worst)}, gain {worst.gain:+.4g} ({spell_percent(worst.confidence)} interval "
        f"{worst.low:+.4g} to {worst.high:+.4g}, {worst.rows:,} rows)"
    )


def _spell_missing(seen: SliceGains) -> str:
    missing = [each for each in seen.slices if each.verdict == "not_shown"]
    if not missing:
        return ""
    named = ", ".join(f"{_name(each)} ({each.missing})" for each in missing[:MOST_NAMED])
    unnamed = seen.total - seen.shown - len(missing[:MOST_NAMED])
    return f"not shown: {named}" + (f" and {unnamed} more" if unnamed else "")


def _name(each: SliceGain) -> str:
    return f"{each.column} = {each.value}"
