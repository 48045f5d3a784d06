from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.datasets.times import is_time_sql, literal, show_time, time_sql, to_aware, to_naive


@pytest.fixture(scope="module")
def connection():
    opened = duckdb.connect()
    opened.execute("SET TimeZone = 'UTC'")
    return opened


@given(moment=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), hours=st.integers(-23, 23) | st.none())
def test_iso_times_are_read_in_utc(connection, moment, hours):
    """What Python writes in ISO form, SQL reads as the same moment; a literal says it again."""
    written = moment.replace(tzinfo=None if hours is None else timezone(timedelta(hours=hours)))
    text = f"'{written.isoformat()}'"
    utc = to_naive(written)

    found = connection.execute(f"SELECT {is_time_sql(text)}, {time_sql(text)}, {literal(utc)}").fetchone()

    assert found == (True, utc, utc)


@pytest.mark.parametrize(
    "text", ["", "2013", "01/02/2013", "2013-02-30", "2013-01-01T25:00", "infinity", "2013-1-1"]
)
def test_other_texts_are_no_times(connection, text):
    """Words, other orders and impossible dates are refused."""
    assert connection.execute(f"SELECT {is_time_sql(repr(text))}").fetchone() == (False,)


def test_zones_are_taken_off_and_put_on():
    """Inside, times are naive UTC; outside they say so."""
    moment = datetime(2013, 1, 1, 5)

    assert to_naive(datetime(2013, 1, 1, 7, tzinfo=timezone(timedelta(hours=2)))) == moment
    assert to_naive(moment) == moment
    assert to_aware(moment) == datetime(2013, 1, 1, 5, tzinfo=UTC)
    assert show_time(moment) == "2013-01-01T05:00:00Z"
