"""When a pipeline is due, its turn after it, and what its runs are called: algebra, without a server."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.config.cron import explain_cron
from flows.schedules import SPREAD_SECONDS, delay_of, next_moment
from flows.turns import in_utc, seconds_left, spell_moment

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,62}", fullmatch=True)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC))


def field_of(least: int, most: int) -> st.SearchStrategy[str]:
    """One field of cron's: a star, a value, a range or a step, or a list of them."""
    numbers = st.integers(least, most)
    ranges = st.tuples(numbers, numbers).map(lambda ends: f"{min(ends)}-{max(ends)}")
    steps = st.integers(1, most).map(lambda step: f"*/{step}")
    item = st.one_of(st.just("*"), numbers.map(str), ranges, steps)
    return st.lists(item, min_size=1, max_size=2).map(",".join)


CRONS = st.tuples(field_of(0, 59), field_of(0, 23), field_of(1, 31), field_of(1, 12), field_of(0, 7)).map(
    " ".join
)


@given(NAMES)
def test_a_pipeline_s_delay_is_its_own_and_under_a_minute(name: str) -> None:
    """The same name has the same delay on every machine, in whole seconds."""
    assert delay_of(name) == delay_of(name)
    assert 0 <= delay_of(name) < SPREAD_SECONDS


def test_two_hundred_pipelines_begin_over_the_whole_minute() -> None:
    """No second starts more than a handful of those that are due together."""
    delays = [delay_of(f"pipeline-{number}") for number in range(200)]

    assert max(delays.count(second) for second in set(delays)) <= 12
    assert len(set(delays)) > 45


@given(MOMENTS, st.integers(-120, 120), st.integers(0, SPREAD_SECONDS - 1))
def test_a_run_never_begins_before_its_moment_nor_waits_longer_than_its_delay(
    scheduled: datetime, late_seconds: int, delay: int
) -> None:
    """One that the server hands out late has waited already."""
    now = scheduled + timedelta(seconds=late_seconds)
    left = seconds_left(scheduled, now, delay)

    assert 0 <= left <= delay
    if late_seconds >= 0:
        assert now + timedelta(seconds=left) >= scheduled + timedelta(seconds=min(delay, late_seconds))
    if late_seconds >= delay:
        assert left == 0


@given(CRONS, st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]), MOMENTS)
@settings(max_examples=60)
def test_what_check_lets_pass_prefect_can_schedule(cron: str, timezone: str, now: datetime) -> None:
    """Each schedule that isn't refused has a next moment on Prefect's server, not before now."""
    if explain_cron(cron) is not None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moment = next_moment(cron, timezone, now)

    assert moment >= now
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("cron", "now", "due"),
    [
        ("0 3 * * 1", "2026-11-27T00:00", "2026-11-30T02:00"),
        # 02:30 doesn't exist on 28 March 2027: it comes after the gap, at 03:30 summer time.
        ("30 2 * * *", "2027-03-28T00:00", "2027-03-28T01:30"),
        # 02:30 comes twice on 31 October 2027: it is due the first time.
        ("30 2 * * *", "2027-10-31T00:00", "2027-10-31T00:30"),
        ("30 2 * * *", "2027-10-31T00:31", "2027-11-01T01:30"),
    ],
)
def test_a_schedule_follows_its_zone_s_clock(cron: str, now: str, due: str) -> None:
    """Also where the clock leaves an hour out, or repeats one."""
    found = next_moment(cron, "Europe/Berlin", datetime.fromisoformat(now).replace(tzinfo=UTC))

    assert found == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_a_form_s_moment_is_utc_without_a_zone() -> None:
    """As everywhere in evertrain."""
    assert in_utc(datetime(2013, 7, 1, 6)) == datetime(2013, 7, 1, 6, tzinfo=UTC)
    assert in_utc(datetime.fromisoformat("2013-07-01T06:00+02:00")) == datetime(2013, 7, 1, 4, tzinfo=UTC)
    assert in_utc(None) is None


def test_a_run_s_name_is_no_longer_than_its_moment() -> None:
    """A day needs no clock."""
    assert spell_moment(datetime(2013, 7, 1, tzinfo=UTC)) == "2013-07-01"
    assert spell_moment(datetime(2013, 7, 1, 6, 5, tzinfo=UTC)) == "2013-07-01 06:05"
