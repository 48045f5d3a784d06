"""Owns what makes a rollout stop: errors, slow answers and a wrong sample ratio, weighed as they come in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evertrain.sequential import Prior, log_e_different, log_e_greater

Breach = Literal["errors", "latency", "accuracy", "sample_ratio"]

# In how many rollouts of a challenger that is as good as stable a guardrail may trip, over the whole rollout.
ALPHA = 0.01
# Errors and latency each get half of it, and so does a shadow's accuracy: of three tests 1.5 % in all.
ROLLBACK_TESTS = 2
# A wrong sample ratio is a fault of the system, not of a model: the usual bar is stricter (Fabijan 2019).
SAMPLE_RATIO_ALPHA = 0.001
# Most of the weight is on the comparison with stable: it finds 5 % errors beside stable's 0.5 % soonest. One
# that breaks its own limit alone is found regardless, some trials later (ln 10 of evidence).
RELATIVE_WEIGHT = 0.9
# Simulated beside (1, 1) to (1, 9): finds 5 % errors beside 0.5 % within two requests of the quickest, and
# 1 % in a tenth fewer requests.
RELATIVE_PRIOR: Prior = (1.5, 2.0)
# Of error rates over the limit, those of some percent are the likely ones.
ERROR_RATE_PRIOR: Prior = (1.0, 10.0)


@dataclass(frozen=True)
class ArmCounts:
    """What one arm did in one step.

    Attributes:
        requests: Requests answered or failed.
        errors: Of these, those where the arm's model failed.
        slow: Of these, those over the arm's limit by `slow_limits`.
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0


@dataclass(frozen=True)
class StepCounts:
    """One step of a rollout, summed over all replicas.

    Attributes:
        share: Of requests meant for the challenger, in (0, 1].
        stable: What the champion's arm did.
        challenger: What the challenger's arm did.
    """

    share: float
    stable: ArmCounts
    challenger: ArmCounts


@dataclass(frozen=True)
class Evidence:
    """Natural logarithms of e-values: how much speaks against the challenger, and against the ratio.

    Attributes:
        log_errors: That it fails more often than stable, or than it may.
        log_slow: That it is slower than stable by more than it may be.
        log_sample_ratio: That it was given another share of requests than was meant.
        challenger_requests: Requests of the challenger in the last step.
        log_worse: That it is wrong more often where stable is right than the other way round, by labels.
    """

    log_errors: float
    log_slow: float
    log_sample_ratio: float
    challenger_requests: int
    log_worse: float = 0.0


def weigh(steps: Sequence[StepCounts], max_error_rate: float) -> Evidence:
    """Weigh all steps of a rollout so far.

    e-values multiply over steps, each against its own share: summed counts of steps with different shares
    would show a difference where there is none (Simpson's paradox); products of e-values are e-values.

    Errors have two nulls: each error is the challenger's with a probability of at most the step's share
    (given that there is an error: stable's own rate drops out), and the challenger's error rate is at most
    *max_error_rate*. The weighted mean of the two is an e-process for a challenger that is fine in both ways;
    their product isn't, since they count the same errors. At share 1 there is no stable to compare with.

    Args:
        steps: In any order but for the last, which is the one under way.
        max_error_rate: Of the challenger's requests, in [0, 1].

    Raises:
        ValueError: A step's counts or share can't be.
    """
    relative = limit = slow = ratio = 0.0
    for step in steps:
        stable, challenger = step.stable, step.challenger
        relative += _weigh_share(challenger.errors, stable.errors, step.share)
        slow += _weigh_share(challenger.slow, stable.slow, step.share)
        limit += log_e_greater(challenger.errors, challenger.requests, max_error_rate, ERROR_RATE_PRIOR)
        if step.share < 1.0:  # At 1, a request that came before the step's start is no wrong ratio.
            requests = stable.requests + challenger.requests
            ratio += log_e_different(challenger.requests, requests, step.share)
    errors = _add_logs(relative + math.log(RELATIVE_WEIGHT), limit + math.log1p(-RELATIVE_WEIGHT))
    return Evidence(errors, slow, ratio, steps[-1].challenger.requests if steps else 0)


def find_breach(evidence: Evidence, *, replicas_alone: int | None = None) -> Breach | None:
    """Say which guardrail tripped, if any: one to roll back for before the one to pause for.

    Errors and latency roll back; a wrong sample ratio says nothing of the model, and the caller pauses.

    Args:
        evidence: Of the whole rollout.
        replicas_alone: How many replicas judge alone, each by its own counts and its part of alpha (four
            replicas at 1 % each trip in 2.2 % of good rollouts). None where all counts are pooled.
    """
    parts = 1 if replicas_alone is None else replicas_alone
    if evidence.log_errors >= math.log(ROLLBACK_TESTS * parts / ALPHA):
        return "errors"
    if evidence.log_slow >= math.log(ROLLBACK_TESTS * parts / ALPHA):
        return "latency"
    if evidence.log_worse >= math.log(ROLLBACK_TESTS * parts / ALPHA):
        return "accuracy"
    if evidence.log_sample_ratio >= math.log(parts / SAMPLE_RATIO_ALPHA):
        return "sample_ratio"
    return None


def slow_limits(p95_seconds: float, max_p99_ratio: float) -> tuple[float, float]:
    """Say over which time an answer counts as slow, for stable and for the challenger.

    Stable's is its own 95th percentile: a 99th takes five times the requests to see as many slow answers. The
    challenger's is that times the fourth root of *max_p99_ratio*: it may be slower by that factor (1.11 of
    1.5) for ever, while one slower by the whole ratio still has two to three times as many slow answers. With
    the whole ratio as its factor, exactly the challenger that is to be found would look like stable.

    Whatever the 95th percentile really is: it is the same boundary for both arms, so an estimate that is off
    costs speed and no false alarm.

    Args:
        p95_seconds: Stable's 95th percentile, of requests before the rollout.
        max_p99_ratio: The pipeline's `promotion.guardrails.max_p99_ratio`; under 1 counts as 1.

    Returns:
        Seconds for stable, seconds for the challenger.
    """
    return p95_seconds, p95_seconds * max(1.0, max_p99_ratio) ** 0.25


def _weigh_share(challenger: int, stable: int, share: float) -> float:
    """Weigh whether more of all events are the challenger's than of all requests."""
    return log_e_greater(challenger, challenger + stable, share, RELATIVE_PRIOR)


def _add_logs(first: float, second: float) -> float:
    greater, less = max(first, second), min(first, second)
    return greater if math.isinf(greater) else greater + math.log1p(math.exp(less - greater))
