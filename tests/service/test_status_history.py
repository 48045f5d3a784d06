"""The half hour that the status page shows: what its ring keeps, forgets and makes of what it was told."""

from __future__ import annotations

import random
from statistics import quantiles

import pytest

from serving.status.history import POINTS, SLOTS, History


@pytest.fixture
def history(clock):
    return History(clock)


def fill(history, clock, seconds, each=lambda second: 1):
    for second in range(seconds):
        for _ in range(each(second)):
            history.count("flights", "stable", 200, 0.01)
        clock.now += 1


def test_statuses_are_told_apart(history):
    """Answers, callers' mistakes and the service's failures are counted apart; the share is of all."""
    for code in (200, 200, 422, 499, 500, 503):
        history.count("flights", "stable", code, 0.01)

    point = history.whole("flights", "stable")

    assert (point.requests, point.refused, point.errors, point.error_share) == (6, 2, 2, 2 / 6)


def test_without_requests_there_is_nothing_to_tell(history, clock):
    """An arm that wasn't asked has no latency and no share of errors, and a rate of zero."""
    clock.now += 300

    point = history.lately("flights", "stable")

    assert (point.rate, point.error_share, point.p50_seconds, point.p95_seconds) == (0, None, None, None)


@pytest.mark.parametrize("typical", [0.0003, 0.004, 0.2])
def test_quantiles_are_off_by_a_tenth_at_most(history, typical):
    """p50 and p95 of 5,000 made-up latencies are within a tenth of the exact ones, from 0.1 ms to seconds."""
    draw = random.Random(1)
    seconds = [draw.lognormvariate(0, 0.6) * typical for _ in range(5_000)]
    for each in seconds:
        history.count("flights", "stable", 200, each)

    point = history.whole("flights", "stable")

    exact = quantiles(seconds, n=20)
    assert point.p50_seconds == pytest.approx(exact[9], rel=0.1)
    assert point.p95_seconds == pytest.approx(exact[18], rel=0.1)


@pytest.mark.parametrize(("seconds", "told"), [(0.0, (0, 1e-4)), (3600.0, (10, 20))])
def test_latencies_beyond_the_scale_are_kept_at_its_ends(history, seconds, told):
    """A latency of nothing and one of an hour are told as the scale's ends."""
    history.count("flights", "stable", 200, seconds)

    low, high = told
    assert low <= history.whole("flights", "stable").p95_seconds <= high


def test_the_last_minute_is_the_last_minute(history, clock):
    """The rate is that of the last minute, the present seconds included; what was before doesn't count."""
    fill(history, clock, 300, lambda second: 9 if second < 200 else 3)

    assert history.lately("flights", "stable").rate == pytest.approx(3, rel=0.05)


def test_a_young_service_is_measured_by_its_own_age(history, clock):
    """Two requests a second for fifteen seconds are two a second, though a minute isn't over."""
    fill(history, clock, 15, lambda _: 2)

    assert history.lately("flights", "stable").rate == 2
    assert [point.rate for point in history.points("flights", "stable")] == [2]


def test_points_cover_the_half_hour_and_no_more(history, clock):
    """An hour's requests leave sixty points of 30 s, each with the rate of its time, oldest first."""
    fill(history, clock, 3600, lambda second: 1 if second < 2700 else 4)

    points = history.points("flights", "stable")

    assert [point.length_seconds for point in points] == [30] * POINTS
    assert [point.rate for point in points] == [1] * 30 + [4] * 30
    assert history.whole("flights", "stable").requests <= 1800 * 4


def test_quiet_times_are_points_too(history, clock):
    """Where nothing was asked the rate is zero and the latency unknown; the arm leaves with the half hour."""
    fill(history, clock, 30)
    clock.now += 60
    points = history.points("flights", "stable")

    assert [(point.rate, point.p50_seconds is None) for point in points] == [(1, False), (0, True), (0, True)]
    assert history.arms("flights") == ["stable"]
    clock.now += 1800
    assert (history.arms("flights"), history.whole("flights", "stable").requests) == ([], 0)


def test_the_ring_has_an_end(history, clock):
    """However long it counts, an arm keeps as many slots as a half hour has."""
    fill(history, clock, 2 * 10 * SLOTS)

    (slots,) = history._arms.values()
    assert len(slots) == SLOTS


def test_arms_add_up(history):
    """Two arms together are the sum of each by itself; other models' requests aren't among them."""
    for model, arm in (("flights", "stable"), ("flights", "canary"), ("weather", "stable")):
        history.count(model, arm, 200, 0.01)

    assert history.whole("flights", "stable", "canary").requests == 2
    assert history.arms("flights") == ["canary", "stable"]
