"""Owns the tests of what makes a rollout stop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from evertrain.guardrails import (
    ArmCounts,
    Evidence,
    StepCounts,
    find_breach,
    slow_limits,
    weigh,
)

SHARE = 0.1
MAX_ERROR_RATE = 0.01
NEVER = 10**9
Mask = NDArray[np.bool_]


def find_first(chosen: Mask, event: Mask, *, slow: bool = False) -> int:
    """Look at each event of the challenger's (others only lessen evidence); give its requests."""
    ours, theirs, requests = np.cumsum(event & chosen), np.cumsum(event & ~chosen), np.cumsum(chosen)
    for at in np.flatnonzero(event & chosen):
        name = "slow" if slow else "errors"
        stable = ArmCounts(int(at + 1 - requests[at]), **{name: int(theirs[at])})
        challenger = ArmCounts(int(requests[at]), **{name: int(ours[at])})
        if find_breach(weigh([StepCounts(SHARE, stable, challenger)], MAX_ERROR_RATE)):
            return int(requests[at])
    return NEVER


def fail_at(seed: int, requests: int, challenger: float) -> int:
    """Give the challenger's requests until its errors trip beside stable's 0.5 %."""
    rng = np.random.default_rng(seed)
    # Exactly the meant share: here errors are tested, and nothing else may trip.
    chosen = rng.permutation(np.arange(requests) % 10 == 0)
    return find_first(chosen, rng.random(requests) < np.where(chosen, challenger, 0.005))


def slow_at(seed: int, requests: int, tail: str, slower: float) -> int:
    """Give the challenger's requests until its slowness trips; stable's 95th percentile is 1 s."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.arange(requests) % 10 == 0)
    drawn = {
        "lognormal": np.exp(0.5 * (rng.normal(size=requests) - 1.6449)),
        "pareto": (0.05 / (1 - rng.random(requests))) ** (1 / 3),
    }[tail]
    stable, challenger = slow_limits(1.0, 1.5)
    seconds = drawn * np.where(chosen, slower, 1.0)
    return find_first(chosen, seconds > np.where(chosen, challenger, stable), slow=True)


def step(share: float, stable: ArmCounts, challenger: ArmCounts) -> StepCounts:
    """Shorten."""
    return StepCounts(share, stable, challenger)


def test_equal_challenger_seldom_rolls_back() -> None:
    """Equal models, looked at at every event of 200,000 requests, roll back for errors in at most 1 %."""
    assert sum(fail_at(seed, 200_000, 0.005) < NEVER for seed in range(100)) <= 1


@pytest.mark.parametrize(
    ("rate", "trials", "median", "late"),
    [(0.05, 300, 115, 300), (0.02, 100, 640, 1_700), (0.01, 80, 4_800, 12_000), (1.0, 20, 10, 10)],
)
def test_failing_challenger_is_found_soon(rate: float, trials: int, median: int, late: int) -> None:
    """The more a challenger fails, the sooner it is found; one that always fails, within ten requests."""
    found = [fail_at(seed, 14 * late, rate) for seed in range(trials)]
    assert np.median(found) <= median
    assert np.quantile(found, 0.9) <= late


@pytest.mark.parametrize("tail", ["lognormal", "pareto"])
def test_slowness_is_found_and_equal_speed_left_alone(tail: str) -> None:
    """A challenger 50 % slower is found by 300 of its requests; one as quick trips in at most 1 %."""
    assert np.median([slow_at(seed, 5_000, tail, 1.5) for seed in range(60)]) <= 300
    assert sum(slow_at(seed, 20_000, tail, 1.0) < NEVER for seed in range(100)) <= 1


def test_wrong_split_pauses_and_right_one_does_not() -> None:
    """Halves served as 52 and 48 are found; right halves aren't doubted at any request."""
    wrong = weigh([step(0.5, ArmCounts(11_520), ArmCounts(12_480))], MAX_ERROR_RATE)
    assert find_breach(wrong) == "sample_ratio"
    doubted = 0
    for seed in range(20):
        served = np.cumsum(np.random.default_rng(seed).random(3_000) < 0.5).tolist()
        doubted += any(
            find_breach(weigh([step(0.5, ArmCounts(n - ours), ArmCounts(ours))], MAX_ERROR_RATE))
            for n, ours in enumerate(served, start=1)
        )
    assert doubted == 0


def test_steps_are_weighed_apart() -> None:
    """A rise of everybody's errors between two steps is no evidence against the challenger."""
    calm = step(0.05, ArmCounts(19_000, errors=19), ArmCounts(1_000, errors=1))
    rough = step(0.5, ArmCounts(20_000, errors=160), ArmCounts(20_000, errors=160))
    summed = step(0.275, ArmCounts(39_000, errors=179), ArmCounts(21_000, errors=161))
    assert find_breach(weigh([calm, rough], MAX_ERROR_RATE)) is None
    assert find_breach(weigh([summed], MAX_ERROR_RATE)) == "errors"


def test_evidence_of_steps_adds_up() -> None:
    """Slowness too little to trip in one step does in four; requests are those of the last step."""
    one = step(0.1, ArmCounts(900, slow=45), ArmCounts(100, slow=15))
    assert find_breach(weigh([one], MAX_ERROR_RATE)) is None
    all_four = weigh([one] * 4, MAX_ERROR_RATE)
    assert find_breach(all_four) == "latency"
    assert all_four.challenger_requests == 100


def test_absolute_limit_holds_where_there_is_no_stable() -> None:
    """At share 1 the challenger's own error rate trips; slowness and the ratio can't be told, and don't."""
    alone = weigh([step(1.0, ArmCounts(3), ArmCounts(1_000, errors=60, slow=900))], MAX_ERROR_RATE)
    assert find_breach(alone) == "errors"
    assert alone.log_slow == alone.log_sample_ratio == 0.0


def test_limit_of_zero_errors_trips_at_the_first() -> None:
    """With max_error_rate 0, one error of the challenger's is a breach, and none of stable's is."""
    assert find_breach(weigh([step(0.5, ArmCounts(9), ArmCounts(9, errors=1))], 0.0)) == "errors"
    assert find_breach(weigh([step(0.5, ArmCounts(9, errors=1), ArmCounts(9))], 0.0)) is None


def test_no_step_is_no_evidence() -> None:
    """Before the first step nothing speaks against the challenger."""
    none = weigh([], MAX_ERROR_RATE)
    assert none.log_errors == pytest.approx(0.0, abs=1e-12)
    assert (none.log_slow, none.log_sample_ratio, none.challenger_requests) == (0.0, 0.0, 0)


def test_a_replica_alone_needs_more_evidence() -> None:
    """What trips when pooled doesn't for one of four replicas alone, whose bar is four times as high."""
    pooled, alone = math.log(2 / 0.01), math.log(8 / 0.01)
    assert find_breach(Evidence(pooled, 0.0, 0.0, 9)) == "errors"
    assert find_breach(Evidence(0.0, pooled, 0.0, 9)) == "latency"
    assert find_breach(Evidence(pooled, pooled, 0.0, 9), replicas_alone=4) is None
    assert find_breach(Evidence(0.0, alone, 0.0, 9), replicas_alone=4) == "latency"


def test_a_bad_model_goes_before_a_bad_split() -> None:
    """Where both tripped, the rollback is named, not the pause."""
    assert find_breach(Evidence(9.0, 9.0, 9.0, 9)) == "errors"
    assert find_breach(Evidence(0.0, 9.0, 9.0, 9)) == "latency"
    assert find_breach(Evidence(0.0, 0.0, 9.0, 9)) == "sample_ratio"


def test_challenger_is_never_held_to_less_than_stable() -> None:
    """The challenger's limit is stable's or more, even for a ratio under 1, and less than the ratio."""
    assert slow_limits(0.2, 0.5) == slow_limits(0.2, 1.0) == (0.2, 0.2)
    stable, challenger = slow_limits(0.2, 1.5)
    assert stable == 0.2
    assert 0.2 < challenger < 0.3
