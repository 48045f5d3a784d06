"""Cron's five fields."""

from __future__ import annotations

import pytest

from evertrain.config.cron import explain_cron


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "0 3 * * 1",
        "*/15 0-6,22,23 1 jan-MAR mon-fri",
        "59 23 31 12 7",
        "5/10 * * * 0",
        " 0  3 * * SUN ",
        "0 0 29 2 *",
        "0 0 31 */2 *",
        "0 0 30 2 MON",
    ],
)
def test_five_valid_fields_are_a_schedule(text):
    """Lists, ranges, steps, names."""
    assert explain_cron(text) is None


@pytest.mark.parametrize("text", ["", "@daily", "0 3 * *", "0 3 * * 1 2013"])
def test_other_than_five_fields_is_none(text):
    """The five are named."""
    assert "five fields: minute, hour" in str(explain_cron(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("60 * * * *", "minute as"),
        ("* 24 * * *", "hour as"),
        ("* * 0 * *", "day of month as"),
        ("* * * 13 *", "month as"),
        ("* * * * 8", "day of week as"),
        ("5-1 * * * *", "minute as"),
        ("*/0 * * * *", "minute as"),
        ("1,,2 * * * *", "minute as"),
        ("x * * * *", "minute as"),
        ("* * * MON *", "month as"),
        ("1- * * * *", "minute as"),
        ("٥ * * * *", "minute as"),
    ],
)
def test_a_wrong_field_is_named(text, words):
    """With what it may be."""
    assert words in str(explain_cron(text))


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9-NOV/2 *", "5 4 30,31 FEB *", "0 0 31/1 2 *"])
def test_a_day_that_never_comes_is_no_schedule(text):
    """A scheduler would look for it for ever."""
    assert "never comes" in str(explain_cron(text))
