"""Owns what ends a rollout: errors, slow answers and shares that are more than chance, at any look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log1p, sqrt
from typing import Literal

from evertrain.sequential import log_e_different, log_e_greater

ALPHA = 0.01
"""In so many of the rollouts of a version that is as good as the champion one is rolled back, at most."""
TESTS = 2
"""Errors and slow answers share ALPHA."""
SAMPLE_RATIO_ALPHA = 0.001
BESIDE = 0.9
"""How much of the test of errors is staked on the champion's; the rest on ``max_error_rate``, which finds
what a champion that errs as much would hide."""

Breach = Literal["errors", "latency", "sample_ratio"]


@dataclass(frozen=True)
class ArmCounts:
    """What one arm did: requests that fell to it, those that its model failed on, those answered slowly."""

    requests: int = 0
    errors: int = 0
    slow: int = 0


@dataclass(frozen=True)
class StepCounts:
    """What both arms did while requests were shared in one way.

    Attributes:
        share: Of requests that are meant for the challenger, in (0, 1].
        stable: The champion's counts.
        challenger: The challenger's.
    """

    share: float
    stable: ArmCounts
    challenger: ArmCounts


@dataclass(frozen=True)
class Evidence:
    """What speaks against a challenger: natural logarithms of e-values over all steps.

    ``challenger_requests`` are those of the last step alone: earlier ones say little of a larger share.
    """

    log_errors: float
    log_slow: float
    log_sample_ratio: float
    challenger_requests: int


def weigh(steps: Sequence[StepCounts], max_error_rate: float) -> Evidence:
    """Weigh what the arms did.

    Each step is a test of its own, by its own share: their e-values are multiplied, counts of different
    shares never added. Errors are held against two nulls, the champion's errors and *max_error_rate*: a
    weighted mean of e-values is one against "both hold".

    Args:
        steps: The steps that were begun, the last being the present one.
        max_error_rate: ``promotion.guardrails``'s, in [0, 1].
    """
    # Errors and slow answers fall to the challenger by its share, if it is no worse.
    beside = sum(_log_e_of(step, "errors") for step in steps)
    over = sum(
        log_e_greater(step.challenger.errors, step.challenger.requests, max_error_rate) for step in steps
    )
    return Evidence(
        log_errors=_log_sum(beside + log(BESIDE), over + log(1 - BESIDE)),
        log_slow=sum(_log_e_of(step, "slow") for step in steps),
        log_sample_ratio=sum(
            log_e_different(
                step.challenger.requests, step.challenger.requests + step.stable.requests, step.share
            )
            for step in steps
            if step.share < 1.0
        ),
        challenger_requests=steps[-1].challenger.requests if steps else 0,
    )


def find_breach(evidence: Evidence, *, replicas_alone: int | None = None) -> Breach | None:
    """The guardrail that was crossed; None if none was.

    Args:
        evidence: Of all processes together, or of one.
        replicas_alone: Of how many processes this is one that judges by its own counts alone; each of them
            then gets its part of ALPHA.
    """
    limit = log(TESTS * (replicas_alone or 1) / ALPHA)
    if evidence.log_errors >= limit:
        return "errors"
    if evidence.log_slow >= limit:
        return "latency"
    return "sample_ratio" if evidence.log_sample_ratio >= log(1 / SAMPLE_RATIO_ALPHA) else None


def slow_limits(p95_seconds: float, max_p99_ratio: float) -> tuple[float, float]:
    """Over how many seconds an answer of the champion and of the challenger counts as slow.

    The challenger is granted the square root of *max_p99_ratio*: halfway to the limit, on the scale that
    ratios add up on. So one that is at the limit is found, and one that is a little slower is let be.

    Args:
        p95_seconds: The champion's 95th percentile.
        max_p99_ratio: ``promotion.guardrails``'s, over 0.
    """
    return p95_seconds, p95_seconds * sqrt(max_p99_ratio)


def _log_e_of(step: StepCounts, what: Literal["errors", "slow"]) -> float:
    events = getattr(step.challenger, what)
    return log_e_greater(events, events + getattr(step.stable, what), step.share)


def _log_sum(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high + log1p(exp(low - high))
