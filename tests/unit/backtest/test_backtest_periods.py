from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.backtest.periods import cut_periods, read_every
from evertrain.errors import ConfigError

MAY, NEW_YEAR = datetime(2013, 5, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)


@given(st.integers(1, 400), st.integers(1, 90))
def test_periods_follow_each_other_without_a_gap(days: int, every: int) -> None:
    """Together they are the whole time; none but the last differs in length, and that by half at most."""
    until = MAY + timedelta(days=days)
    periods = cut_periods(MAY, until, timedelta(days=every))

    assert (periods[0].since, periods[-1].until) == (MAY, until)
    assert all(one.until == next_one.since for one, next_one in pairwise(periods))
    lengths = [(each.until - each.since).days for each in periods]
    assert all(length == every for length in lengths[:-1])
    assert len(periods) == 1 or every / 2 <= lengths[-1] < 1.5 * every


def test_months_are_those_of_the_calendar() -> None:
    """``month`` cuts at the same day of each month; where a month lacks it, at its last."""
    months = cut_periods(MAY, NEW_YEAR, read_every("month"))
    assert [each.since.month for each in months] == [5, 6, 7, 8, 9, 10, 11, 12]

    late = cut_periods(datetime(2012, 12, 31, tzinfo=UTC), datetime(2013, 4, 30, tzinfo=UTC), None)
    assert [f"{each.since:%m-%d}" for each in late] == ["12-31", "01-31", "02-28", "03-31"]


@pytest.mark.parametrize("text", ["", "weekly", "0d", "-1d", "30"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    """The message names the option and what it takes."""
    with pytest.raises(ConfigError, match=r"--every.*expected a duration"):
        read_every(text)


def test_time_that_does_not_pass_is_refused() -> None:
    """An end at or before the beginning, or steps without number, are told before any work."""
    with pytest.raises(ConfigError, match="isn't later than --from"):
        cut_periods(MAY, MAY, timedelta(days=1))
    with pytest.raises(ConfigError, match="more than 1,000 periods"):
        cut_periods(MAY, NEW_YEAR, timedelta(minutes=1))
