"""Owns the gate ``latency``: what one row through the bundle may take."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.numbers import Positive
from evertrain.records import GateEvidence, GateResult, Latency


class LatencyGate(BaseModel):
    """Passes if one row takes at most ``p99_ms``, in process, over 1,000 calls after warm-up."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["latency"]
    p99_ms: Positive

    def check(self, evidence: GateEvidence) -> GateResult:
        """Hold the measured 99th percentile against ``p99_ms``."""
        measured = evidence.latency
        if measured is None:
            return GateResult(type=self.type, verdict="not_shown", reason="no row was timed")
        return GateResult(
            type=self.type,
            verdict="pass" if measured.p99_ms <= self.p99_ms else "fail",
            reason=f"{_spell(measured)}; the limit is {self.p99_ms:g} ms",
        )


def _spell(measured: Latency) -> str:
    tries = f", the quickest of {measured.tries} tries" if measured.tries > 1 else ""
    return (
        f"one row takes {measured.p99_ms:.3g} ms at p99 ({measured.p50_ms:.3g} ms at the median) over "
        f"{measured.calls:,} calls{tries}"
    )
