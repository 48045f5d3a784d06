"""The spelling of categories and of what is missing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.spelling import MISSING, is_missing, spell_categories, spell_category

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_infinity=False), st.text())


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), np.float32("nan"), np.datetime64("NaT"), pd.NA, pd.NaT, Decimal("NaN")],
    ids=repr,
)
def test_missing_values(value):
    """None, NaN, NaT and pandas' NA are missing and spelled as such."""
    assert is_missing(value)
    assert spell_category(value) == MISSING


@pytest.mark.parametrize("value", ["", "nan", "None", 0, 0.0, False, Decimal(0), [], {}], ids=repr)
def test_values_that_look_missing(value):
    """Empty text, zero, false and the words for missing are values."""
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        ("1.0", "1.0"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (np.float32(0.1), "0.1"),
        (np.float64(0.1), "0.1"),
        (np.int8(-3), "-3"),
        (True, "true"),
        (np.bool_(False), "false"),
        (Decimal("2.50"), "2.5"),
        (Decimal(2), "2"),
        (1e300 * 10, str(int(1e301))),
        (float("inf"), "inf"),
        ("Zürich ", "Zürich "),
        (np.str_("a"), "a"),
    ],
    ids=repr,
)
def test_spelling_of_one_value(value, spelled):
    """Integral numbers have no point, booleans are words, other numbers are their repr."""
    assert spell_category(value) == spelled
    assert type(spell_category(value)) is str


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", date(2013, 1, 1), 1j], ids=repr)
def test_what_is_no_category(value):
    """Nested values, bytes and times are refused."""
    with pytest.raises(ValueError, match="expected text"):
        spell_category(value)


@given(st.integers(-(2**53), 2**53))
def test_integers_floats_and_text_are_one_category(number):
    """A whole number, its float and its text are the same category."""
    assert spell_category(number) == spell_category(float(number)) == spell_category(str(number))


@given(SCALARS)
def test_spelling_is_stable(value):
    """Spelling a spelled value changes nothing."""
    assert spell_category(spell_category(value)) == spell_category(value)


@given(st.lists(SCALARS))
def test_a_list_is_spelled_value_by_value(values):
    """Spelling many values at once equals spelling each."""
    assert list(spell_categories(values)) == [spell_category(value) for value in values]


@given(
    st.lists(st.integers(-(2**62), 2**62))
    | st.lists(st.floats(allow_infinity=False))
    | st.lists(st.booleans())
)
def test_arrays_and_lists_agree(values):
    """A typed array is spelled as the list of its values."""
    array = np.array(values)

    assert list(spell_categories(array)) == list(spell_categories(values))


def test_arrays_of_text():
    """Arrays of text, with missing or fixed width, are spelled too."""
    assert list(spell_categories(np.array(["a", None], dtype=object))) == ["a", MISSING]
    assert list(spell_categories(np.array(["a", "bc"]))) == ["a", "bc"]
