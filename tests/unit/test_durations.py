"""Durations as the YAML spells them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.durations import LONGEST, parse_duration, refuse_nothing, spell_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("24h", 86_400), ("30d", 2_592_000), ("1.5h", 5_400), ("0s", 0)],
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    """Seconds, minutes, hours and days."""
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(timedelta(seconds=seconds)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["", "5", "m", "-5m", "5 m", "5m\n", "5M", "5w", "1e3s", "٥m", 5, None, True, ["5m"]]
)
def test_anything_else_is_no_duration(value):
    """The message shows what one looks like."""
    with pytest.raises(ValueError, match="expected a duration such as 30s, 10m, 24h or 30d"):
        parse_duration(value)


@pytest.mark.parametrize("text", ["36501d", "9" * 400 + "d"])
def test_over_a_hundred_years_is_refused(text):
    """What a clock can't add is refused by name."""
    with pytest.raises(ValueError, match="at most 36500d"):
        parse_duration(text)


@given(st.timedeltas(timedelta(0), LONGEST))
def test_what_is_spelled_reads_as_the_same(value):
    """Spelling and reading are inverse, to the microsecond."""
    assert abs(parse_duration(spell_duration(value)) - value) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("seconds", "text"), [(3600, "1h"), (86_400, "1d"), (90, "90s"), (120, "2m"), (0, "0s"), (0.5, "0.5s")]
)
def test_the_largest_whole_unit_is_used(seconds, text):
    """3,600 s is 1h."""
    assert spell_duration(timedelta(seconds=seconds)) == text


def test_a_span_is_over_nothing():
    """A window of no time could hold no row."""
    assert refuse_nothing(timedelta(1)) == timedelta(1)
    with pytest.raises(ValueError, match="over 0s"):
        refuse_nothing(timedelta(0))
