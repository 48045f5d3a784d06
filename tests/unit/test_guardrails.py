"""Guardrails: how often a version that is as good is rolled back, how soon one that is worse (G1 to G4)."""

from __future__ import annotations

import numpy as np
import pytest

from evertrain.guardrails import ArmCounts, Evidence, StepCounts, find_breach, slow_limits, weigh

MAX_ERROR_RATE = 0.01


def first_breach(rng, *, canary, stable, share=0.1, requests=100_000, what="errors"):
    """After how many of the challenger's requests its events are a breach, by a look at each; None: never."""
    is_canary = rng.random(requests) < share
    event = rng.random(requests) < np.where(is_canary, canary, stable)
    asked = np.cumsum(is_canary)
    mine = theirs = 0
    for place in np.flatnonzero(event):
        if not is_canary[place]:
            theirs += 1
            continue
        mine += 1
        counts = StepCounts(
            share,
            ArmCounts(int(place + 1 - asked[place]), **{what: theirs}),
            ArmCounts(int(asked[place]), **{what: mine}),
        )
        if find_breach(weigh([counts], MAX_ERROR_RATE)) in ("errors", "latency"):
            return int(asked[place])
    return None


def test_an_equal_version_is_rarely_rolled_back():
    """G1: of 200 canaries that err as the champion does, over 100,000 requests, peeked at each event."""
    rng = np.random.default_rng(1)
    tripped = [first_breach(rng, canary=0.005, stable=0.005) for _ in range(200)]
    assert sum(each is not None for each in tripped) <= 6


@pytest.mark.parametrize(
    ("canary", "median", "p95"), [(0.05, 150, 330), (0.02, 600, 1_600), (0.01, 4_200, 10_000), (1.0, 10, 10)]
)
def test_a_worse_version_is_found_soon(canary, median, p95):
    """G2: at a tenth of the requests beside a champion that errs on one in 200."""
    rng = np.random.default_rng(2)
    found = [first_breach(rng, canary=canary, stable=0.005, requests=300_000) for _ in range(80)]
    assert all(found)
    assert np.median(found) <= median
    assert np.quantile(found, 0.95) <= p95 * 1.1


def test_errors_over_the_limit_are_found_though_the_champion_errs_as_often():
    """The champion's own errors are no excuse for more than ``max_error_rate``."""
    rng = np.random.default_rng(3)
    assert all(first_breach(rng, canary=0.05, stable=0.05, requests=60_000) for _ in range(10))


@pytest.mark.parametrize(("ratio", "found_share"), [(1.0, 0.0), (1.1, 0.0), (1.5, 1.0), (2.0, 1.0)])
def test_a_slower_version_is_found(ratio, found_share):
    """G3, lognormal: half the versions that are half slower are found by 300 of their requests."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(60):
        base = np.exp(0.5 * rng.standard_normal(1_000))
        limits = slow_limits(float(np.quantile(base, 0.95)), 1.5)
        spread = np.exp(0.5 * rng.standard_normal(200_000))
        stable, canary = (
            np.mean(spread * by > limit) for by, limit in ((1.0, limits[0]), (ratio, limits[1]))
        )
        found.append(first_breach(rng, canary=canary, stable=stable, requests=20_000, what="slow"))
    assert np.mean([each is not None for each in found]) == pytest.approx(found_share, abs=0.02)
    if ratio >= 1.5:
        assert np.median([each for each in found if each is not None]) <= 300


def test_shares_that_were_not_meant_are_found():
    """G4: 52 of 100 where 50 were meant, and never of 60 runs as they were meant."""
    rng = np.random.default_rng(5)

    def first_doubt(share):
        served = np.cumsum(rng.random(30_000) < share)
        for asked in range(200, 30_000, 100):
            mine = int(served[asked - 1])
            step = StepCounts(0.5, ArmCounts(asked - mine), ArmCounts(mine))
            if find_breach(weigh([step], MAX_ERROR_RATE)) == "sample_ratio":
                return asked
        return None

    found = [first_doubt(0.52) for _ in range(40)]
    assert np.mean([each is not None for each in found]) >= 0.95
    assert np.median([each for each in found if each is not None]) <= 11_500
    assert [first_doubt(0.5) for _ in range(60)] == [None] * 60


def test_steps_are_multiplied_and_never_added():
    """What speaks against a version at two shares is the sum of the logarithms, each by its own share."""
    first = StepCounts(0.05, ArmCounts(950, errors=2), ArmCounts(50, errors=3))
    second = StepCounts(0.5, ArmCounts(500, slow=9), ArmCounts(500, slow=30))
    both = weigh([first, second], MAX_ERROR_RATE)
    alone = [weigh([step], MAX_ERROR_RATE) for step in (first, second)]

    assert both.log_slow == pytest.approx(sum(each.log_slow for each in alone))
    assert both.log_sample_ratio == pytest.approx(sum(each.log_sample_ratio for each in alone))
    assert both.challenger_requests == 500


def test_all_requests_leave_nothing_to_compare_with():
    """At 100 % there is no champion's share: its errors alone count, against the limit."""
    whole = StepCounts(1.0, ArmCounts(), ArmCounts(500, errors=2, slow=25))
    evidence = weigh([whole], MAX_ERROR_RATE)
    assert find_breach(evidence) is None
    assert evidence.log_sample_ratio == 0.0
    bad = StepCounts(1.0, ArmCounts(), ArmCounts(500, errors=60))
    assert find_breach(weigh([bad], MAX_ERROR_RATE)) == "errors"


def test_who_judges_alone_needs_more():
    """Four processes that each test alone share the chance of a false alarm between them."""
    evidence = Evidence(log_errors=6.0, log_slow=0.0, log_sample_ratio=0.0, challenger_requests=9)
    assert find_breach(evidence) == "errors"
    assert find_breach(evidence, replicas_alone=4) is None
    assert find_breach(Evidence(0.0, 6.0, 9.0, 9)) == "latency"
    assert find_breach(Evidence(0.0, 0.0, 7.0, 9)) == "sample_ratio"


def test_nothing_was_counted_yet():
    """Before the first request nothing speaks against anyone."""
    assert find_breach(weigh([], MAX_ERROR_RATE)) is None
    assert weigh([StepCounts(0.05, ArmCounts(), ArmCounts())], MAX_ERROR_RATE).challenger_requests == 0
