"""Owns what the arms of a rollout did in this process: requests, errors, slow answers, step by step."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from evertrain.guardrails import ArmCounts, StepCounts, find_breach, slow_limits, weigh

LATENCIES = 1_000
FEWEST_LATENCIES = 100
"""From so many answers of the champion its 95th percentile is taken; until then nothing counts as slow."""
SLOW_QUANTILE = 0.95


class _Arm:
    def __init__(self) -> None:
        self.requests = self.errors = self.slow = 0

    def counts(self) -> ArmCounts:
        return ArmCounts(self.requests, self.errors, self.slow)


class Tally:
    """Counts what the champion and its challenger do; a guardrail that is crossed here closes the challenger.

    Args:
        percents: The percentages of requests that the challenger answers, step by step.
        guardrails: The YAML's ``promotion.guardrails``.
    """

    def __init__(self, percents: Sequence[float], guardrails: Mapping[str, float]) -> None:
        self._percents = percents
        self._max_error_rate = float(guardrails["max_error_rate"])
        self._max_p99_ratio = float(guardrails["max_p99_ratio"])
        self._steps: dict[int, tuple[_Arm, _Arm]] = {}
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._limits: tuple[float, float] | None = None
        self._counting = threading.Lock()
        self.replicas = 1
        self.tripped: str | None = None

    def count(self, step: int, *, challenger: bool, seconds: float, failed: bool) -> None:
        """Count one answer, or one failure, of an arm that was chosen for a request at *step*."""
        if not self._percents[step]:
            return
        with self._counting:
            arms = self._steps.get(step)
            if arms is None:
                arms = self._steps[step] = (_Arm(), _Arm())
            arm = arms[challenger]
            arm.requests += 1
            arm.errors += failed
            slow = self._is_slow(challenger, seconds)
            arm.slow += slow
            if challenger and (failed or slow) and self.tripped is None:
                breach = find_breach(
                    weigh(self._counts(), self._max_error_rate), replicas_alone=self.replicas
                )
                self.tripped = breach if breach != "sample_ratio" else None

    def steps(self) -> dict[int, StepCounts]:
        """What was counted, by step."""
        with self._counting:
            return dict(zip(self._steps, self._counts(), strict=True))

    def _counts(self) -> list[StepCounts]:
        return [
            StepCounts(self._percents[step] / 100, stable.counts(), challenger.counts())
            for step, (stable, challenger) in self._steps.items()
        ]

    def _is_slow(self, challenger: bool, seconds: float) -> bool:
        if self._limits is None:
            if not challenger:
                self._learn(seconds)
            return False
        return seconds > self._limits[challenger]

    def _learn(self, seconds: float) -> None:
        self._latencies.append(seconds)
        if len(self._latencies) >= FEWEST_LATENCIES:
            p95 = sorted(self._latencies)[int(SLOW_QUANTILE * len(self._latencies))]
            self._limits = slow_limits(p95, self._max_p99_ratio)
            self._latencies.clear()
