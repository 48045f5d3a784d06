"""Expectations that are counted on callers' rows."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.datasets.masks.values import VALUE_CHECKS
from evertrain.records import Feature
from serving.value_rules import LONGEST_MATCHED, count_broken, read_rules

NUMBERS = st.lists(st.none() | st.integers(-5, 5) | st.sampled_from([0.5, 2.5, -0.0]), max_size=8)
TEXTS = st.lists(st.none() | st.text("abé ", max_size=4), max_size=8)
BOUNDS = ({"min_value": -1}, {"max_value": 2}, {"min_value": -1, "max_value": 2})
STRICT = ({}, {"strict_min": True}, {"strict_max": True, "strict_min": False})

NUMERIC = [
    *(
        {"type": "expect_column_values_to_be_between"} | bounds | strict
        for bounds in BOUNDS
        for strict in STRICT
    ),
    {"type": "expect_column_values_to_be_in_set", "value_set": [1, 2.5, 0]},
    {"type": "expect_column_values_to_not_be_in_set", "value_set": [1, 2.5, 0]},
    {"type": "expect_column_values_to_be_null"},
]
TEXTUAL = [
    {"type": "expect_column_values_to_be_in_set", "value_set": ["a", "b "]},
    {"type": "expect_column_values_to_not_be_in_set", "value_set": ["a", "b "]},
    {"type": "expect_column_value_lengths_to_be_between", "min_value": 1, "max_value": 3},
    {"type": "expect_column_value_lengths_to_equal", "value": 2},
    {"type": "expect_column_values_to_match_regex", "regex": "^a"},
    {"type": "expect_column_values_to_not_match_regex", "regex": "b+"},
    {"type": "expect_column_values_to_match_regex_list", "regex_list": ["a", "b"]},
    {"type": "expect_column_values_to_match_regex_list", "regex_list": ["a", "b"], "match_on": "all"},
    {"type": "expect_column_values_to_not_match_regex_list", "regex_list": ["a", "b"]},
]


NUMBER = Feature(name="x", kind="numeric", type="float")
TEXT = Feature(name="x", kind="categorical", type="string")


def broken(expectation, values, feature=NUMBER):
    (rule,) = read_rules([{**expectation, "column": "x"}], [feature])
    return count_broken(rule, values)


def broken_in_training(expectation, values):
    """How many of the values that are there break it by the masks that training uses."""
    there = pd.Series([value for value in values if value is not None])
    return 0 if there.empty else int((~VALUE_CHECKS[expectation["type"]](there, expectation)).sum())


@pytest.mark.parametrize("expectation", NUMERIC, ids=lambda rule: rule["type"])
@given(values=NUMBERS)
@settings(max_examples=40, deadline=None)
def test_numbers_break_what_they_break_in_training(expectation, values):
    """The service counts what training would set aside, missing values apart."""
    assert broken(expectation, values) == broken_in_training(expectation, values)


@pytest.mark.parametrize("expectation", TEXTUAL, ids=lambda rule: rule["type"])
@given(values=TEXTS)
@settings(max_examples=40, deadline=None)
def test_texts_break_what_they_break_in_training(expectation, values):
    """The same of texts."""
    assert broken(expectation, values, TEXT) == broken_in_training(expectation, values)


def test_a_missing_value_breaks_only_what_wants_one():
    """Null breaks not-null, and nothing else."""
    assert broken({"type": "expect_column_values_to_not_be_null"}, [None, 1, None]) == 2
    assert broken({"type": "expect_column_values_to_be_between", "min_value": 5}, [None, None]) == 0


def test_what_cannot_be_compared_is_broken():
    """Text where a number was expected counts, and raises nothing."""
    assert broken({"type": "expect_column_values_to_be_between", "min_value": 5}, ["much", 7]) == 1


def test_long_text_is_not_matched():
    """A pattern that backtracks for ever isn't tried on text that a caller made for it."""
    slow = {"type": "expect_column_values_to_match_regex", "regex": "(a|aa)+$"}
    assert broken(slow, ["a" * LONGEST_MATCHED + "ab"], TEXT) == 0


@pytest.mark.parametrize(
    "expectation",
    [
        {"type": "expect_column_values_to_be_unique", "column": "x"},
        {"type": "expect_table_row_count_to_be_between", "min_value": 1},
        {"type": "expect_column_values_to_not_be_null", "column": "another"},
        {"type": "expect_column_values_to_not_be_null", "column": "x", "row_condition": "y > 1"},
    ],
)
def test_what_one_value_cannot_tell_is_left_out(expectation):
    """Uniqueness, tables, columns that callers don't send and conditions on rows make no rule."""
    assert read_rules([expectation], [NUMBER]) == []


def test_times_are_judged_by_whether_they_are_there():
    """Callers spell a moment in more than one way: only null and not null can be told of it."""
    moment = Feature(name="x", kind="datetime", type="timestamp")
    kinds = ("be_between", "be_in_set", "match_regex", "be_null", "not_be_null")
    rules = [
        {"type": f"expect_column_values_to_{kind}", "column": "x", "value_set": [], "regex": "a"}
        for kind in kinds
    ]
    assert [rule.expectation[24:] for rule in read_rules(rules, [moment])] == ["be_null", "not_be_null"]


@pytest.mark.parametrize("sent", [1, 1.0, "1"])
def test_a_category_is_in_a_set_however_it_is_spelled(sent):
    """A set of whole numbers holds them as numbers and as text, as the column layer reads them."""
    assert broken({"type": "expect_column_values_to_be_in_set", "value_set": [1, 2]}, [sent, 2], TEXT) == 0
