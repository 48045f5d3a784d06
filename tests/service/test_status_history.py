"""The half hour that the status page shows: what its ring keeps, forgets and makes of what it was told."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import quantiles

import pytest

from serving.status.history import POINTS, History

ROOT = Path(__file__).parents[2]
SIBLING = """
import sys
from pathlib import Path
from serving.status.history import History

history = History(folder=Path(sys.argv[1]), clock=lambda: float(sys.argv[2]))
for _ in range(3):
    history.count("flights", "stable", 200, 0.01)
history.count("fl+/1", "canary", 500, 0.01)
"""


def run_sibling(folder, now):
    """Let another process count four requests at *now* and end."""
    words = [sys.executable, "-W", "error", "-c", SIBLING, str(folder), str(now)]
    subprocess.run(words, check=True, timeout=60, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})


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

    point = history.look().whole("flights", "stable")

    assert (point.requests, point.refused, point.errors, point.error_share) == (6, 2, 2, 2 / 6)


def test_without_requests_there_is_nothing_to_tell(history, clock):
    """An arm that wasn't asked has no latency and no share of errors, and a rate of zero."""
    clock.now += 300

    point = history.look().lately("flights", "stable")

    assert (point.rate, point.error_share, point.p50_seconds, point.p95_seconds) == (0, None, None, None)


@pytest.mark.parametrize("typical", [0.0003, 0.004, 0.2])
def test_quantiles_are_off_by_a_tenth_at_most(history, typical):
    """p50 and p95 of 5,000 made-up latencies are within a tenth of the exact ones, from 0.1 ms to seconds."""
    draw = random.Random(1)
    seconds = [draw.lognormvariate(0, 0.6) * typical for _ in range(5_000)]
    for each in seconds:
        history.count("flights", "stable", 200, each)

    point = history.look().whole("flights", "stable")

    exact = quantiles(seconds, n=20)
    assert point.p50_seconds == pytest.approx(exact[9], rel=0.1)
    assert point.p95_seconds == pytest.approx(exact[18], rel=0.1)


@pytest.mark.parametrize(("seconds", "told"), [(0.0, (0, 1e-4)), (3600.0, (10, 20))])
def test_latencies_beyond_the_scale_are_kept_at_its_ends(history, seconds, told):
    """A latency of nothing and one of an hour are told as the scale's ends."""
    history.count("flights", "stable", 200, seconds)

    low, high = told
    assert low <= history.look().whole("flights", "stable").p95_seconds <= high


def test_the_last_minute_is_the_last_minute(history, clock):
    """The rate is that of the last minute, the present seconds included; what was before doesn't count."""
    fill(history, clock, 300, lambda second: 9 if second < 200 else 3)

    assert history.look().lately("flights", "stable").rate == pytest.approx(3, rel=0.05)


def test_a_young_service_is_measured_by_its_own_age(history, clock):
    """Two requests a second for fifteen seconds are two a second, though a minute isn't over."""
    fill(history, clock, 15, lambda _: 2)

    assert history.look().lately("flights", "stable").rate == 2
    assert [point.rate for point in history.look().points("flights", "stable")] == [2]


def test_a_moment_is_no_rush(history, clock):
    """A service that began just before ten seconds were over isn't told to be busier than it was."""
    clock.now += 9.9
    late = History(clock)
    late.count("flights", "stable", 200, 0.01)
    clock.now += 0.2

    assert [point.rate for point in late.look().points("flights", "stable")] == [1]


def test_points_cover_the_half_hour_and_no_more(history, clock):
    """An hour's requests leave sixty points of 30 s, each with the rate of its time, oldest first."""
    fill(history, clock, 3600, lambda second: 1 if second < 2700 else 4)

    points = history.look().points("flights", "stable")

    assert [point.length_seconds for point in points] == [30] * POINTS
    assert [point.rate for point in points] == [1] * 30 + [4] * 30
    assert history.look().whole("flights", "stable").requests <= 1800 * 4


def test_quiet_times_are_points_too(history, clock):
    """Where nothing was asked the rate is zero and the latency unknown; the arm leaves with the half hour."""
    fill(history, clock, 30)
    clock.now += 60
    points = history.look().points("flights", "stable")

    assert [(point.rate, point.p50_seconds is None) for point in points] == [(1, False), (0, True), (0, True)]
    assert history.look().arms("flights") == ["stable"]
    clock.now += 1800
    assert (history.look().arms("flights"), history.look().whole("flights", "stable").requests) == ([], 0)


def test_arms_add_up(history):
    """Two arms together are the sum of each by itself; other models' requests aren't among them."""
    for model, arm in (("flights", "stable"), ("flights", "canary"), ("weather", "stable")):
        history.count(model, arm, 200, 0.01)

    assert history.look().whole("flights", "stable", "canary").requests == 2
    assert history.look().arms("flights") == ["canary", "stable"]


def test_the_requests_of_all_workers_add_up(clock, tmp_path):
    """Workers that share a folder are told as one, also those that died; without one each is by itself."""
    run_sibling(tmp_path, clock())
    clock.now += 2
    own = History(clock, tmp_path)
    own.count("flights", "stable", 200, 0.01)
    seen = own.look()

    assert seen.whole("flights", "stable").requests == 4
    assert seen.whole("fl+/1", "canary").errors == 1
    assert seen.age_seconds == 2
    assert History(clock).look().slots == {}


def test_of_a_dead_worker_nothing_stays_that_is_too_old(clock, tmp_path):
    """A dead worker's counts leave the folder once they are half an hour old; a living one's stay."""
    run_sibling(tmp_path, clock())
    dead = sorted(tmp_path.glob("*.ring"))
    living = shutil.copy(dead[0], tmp_path / "1+0+flights+stable.ring")
    History(clock, tmp_path).count("flights", "stable", 200, 0.01)
    young = [path.exists() for path in dead]
    clock.now += 1900
    History(clock, tmp_path).count("flights", "stable", 200, 0.01)

    assert (young, [path.exists() for path in dead]) == ([True, True], [False, False])
    assert living.exists()


def test_a_folder_that_is_gone_costs_no_request(clock, tmp_path, caplog):
    """Where nothing can be shared a process counts for itself, and says so once an arm."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    history = History(clock, folder)
    shutil.rmtree(folder)
    for _ in range(5):
        history.count("flights", "stable", 200, 0.01)

    assert history.look().whole("flights", "stable").requests == 5
    assert caplog.text.count("leaves out this worker's requests for flights") == 1


def test_a_strange_file_in_the_folder_is_passed_over(clock, tmp_path):
    """A ring that is cut short, or no ring at all, is no fault of the page."""
    (tmp_path / "1+0+flights+stable.ring").write_bytes(b"abc")
    (tmp_path / "strange.ring").write_bytes(bytes(4096))

    assert History(clock, tmp_path).look().slots == {}


def test_looking_takes_no_part_of_the_counting(history):
    """What was looked at stays as it was while more is counted."""
    history.count("flights", "stable", 200, 0.01)
    seen = history.look()
    history.count("flights", "stable", 200, 0.01)

    assert (seen.whole("flights", "stable").requests, history.look().whole("flights", "stable").requests) == (
        1,
        2,
    )
