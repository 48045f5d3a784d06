"""Tests of the masks: row by row and count by count they say what Great Expectations says."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evertrain.config import ExpectationConfig, ValidationConfig
from evertrain.datasets.masks import Mask, find_unexpected, is_row_wise
from evertrain.datasets.masks.rows import ROW_CHECKS
from evertrain.datasets.masks.values import VALUE_CHECKS
from evertrain.expectations import EXPECTATIONS, ROW_WISE
from evertrain.validation import validate

NAN = float("nan")
DAY = dt.date(2020, 1, 1)
NOON = dt.datetime(2020, 1, 2, 12, 0, 0, 5)
COLUMNS = {
    "integer": [1, 2, 2, 3, 0, -1, 10, 7],
    "gappy": [1, None, 2, 2, None, 300, 0, -4],
    "large": [2**60 + 1, None, 2**60, 1, 5, 2**60 + 1, None, 0],
    "float": [0.1, NAN, -0.0, 0.0, 2.0, 1e300, float("inf"), 5.5],
    "small": pa.array([0.1, None, 2.5, 2.5, -1.0, 0.3, NAN, 4.0], pa.float32()),
    "boolean": [True, False, True, True, False, True, False, True],
    "maybe": [True, None, False, True, None, False, True, False],
    "text": ["", "a", "Yes", "größe", "列a", "2020-01-01", "a\0b", "a\0c"],
    "gaps": [None, "a", "a", '{"a": 1}', "1.5", "NaN", "x" * 40, None],
    "date": [DAY, None, DAY, dt.date(2020, 1, 2), dt.date(1969, 7, 20), DAY, None, dt.date(2038, 1, 19)],
    "time": [
        NOON,
        None,
        NOON,
        dt.datetime(2020, 1, 1),
        dt.datetime(1900, 1, 1),
        None,
        NOON,
        dt.datetime(2020, 1, 2),
    ],
    "zoned": [NOON.replace(tzinfo=dt.UTC), None] * 4,
    "empty": pa.array([None] * 8, pa.float64()),
    "silent": pa.array([None] * 8, pa.string()),
    "dotted.name ü": [5, 5, None, 1, 2, 3, 4, 4],
    "Float": [0.1, 0.2, NAN, 1.0, 2.0, 2.0, 3.0, 5.5],
}
TABLE = pa.table(
    {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in COLUMNS.items()}
)
SETS = (
    [1, 2, None, False, 0.1, 2.5],
    ["a", "", "größe", "1.5", 1.0, 2**60 + 1],
    ["2020-01-01", "2020-01-02"],
    [],
)
BETWEEN = (
    {"min_value": 1},
    {"max_value": 2},
    {"min_value": 0, "max_value": 2},
    {"min_value": 0, "max_value": 2, "strict_max": True},
    {"min_value": 0.1, "max_value": 2.5, "strict_min": True, "strict_max": True},
    {"min_value": "0.1", "strict_min": True},
    {"min_value": True, "max_value": 2**60},
    {"min_value": "2020-01-01", "max_value": "2020-01-02", "strict_min": True},
    {"max_value": "2020-01-02T13:00:00.000005+01:00", "strict_max": True},
)
REGEXES = ("a", r"^$|^\d|ß", r"\.0$|(Y)es", "None|nan|e")
LENGTHS = (
    {"min_value": 1, "max_value": 3, "strict_min": True},
    {"min_value": 2.7, "max_value": 5, "strict_max": True},
)
SINGLE = [
    *(("expect_column_values_to_be_between", given_) for given_ in BETWEEN),
    *(("expect_column_values_to_be_in_set", {"value_set": values}) for values in SETS),
    *(("expect_column_values_to_not_be_in_set", {"value_set": values}) for values in SETS),
    *(("expect_column_values_to_match_regex", {"regex": regex}) for regex in REGEXES),
    *(("expect_column_values_to_not_match_regex", {"regex": regex}) for regex in REGEXES),
    ("expect_column_values_to_match_regex_list", {"regex_list": ["a", "^$"]}),
    ("expect_column_values_to_match_regex_list", {"regex_list": ["a", "Y|g"], "match_on": "all"}),
    ("expect_column_values_to_not_match_regex_list", {"regex_list": ["a", "^$"]}),
    *(("expect_column_value_lengths_to_be_between", given_) for given_ in LENGTHS),
    ("expect_column_value_lengths_to_equal", {"value": 3}),
    ("expect_column_value_lengths_to_equal", {"value": "1"}),
    ("expect_column_values_to_be_null", {}),
    ("expect_column_values_to_not_be_null", {}),
    ("expect_column_values_to_be_unique", {}),
    ("expect_column_values_to_be_dateutil_parseable", {}),
    ("expect_column_values_to_be_json_parseable", {}),
    ("expect_column_values_to_match_strftime_format", {"strftime_format": "%Y-%m-%d"}),
    ("expect_column_value_z_scores_to_be_less_than", {"threshold": 1, "double_sided": True}),
    ("expect_column_value_z_scores_to_be_less_than", {"threshold": 0.5, "double_sided": False}),
    ("expect_column_values_to_not_be_outliers", {}),
    ("expect_column_values_to_not_be_outliers", {"multiplier": 0.5}),
    ("expect_column_values_to_not_be_outliers", {"method": "std", "multiplier": 1}),
    ("expect_column_values_to_not_be_outliers", {"method": "std", "multiplier": 0}),
]
PAIRS = [
    ("integer", "gappy"),
    ("float", "small"),
    ("text", "gaps"),
    ("boolean", "maybe"),
    ("date", "time"),
    ("empty", "silent"),
    ("large", "float"),
    ("boolean", "integer"),
    ("maybe", "date"),
]
PAIR_SETS = (
    [[1, 1], [2, 2], [None, 2], [True, None], ["", None], ["a", "a"], [2**60 + 1, 1]],
    [["2020-01-01", "2020-01-02T12:00:00.000005"]],
)
IGNORE_PAIR = ("both_values_are_missing", "either_value_is_missing", "neither")
IGNORE_LIST = ("all_values_are_missing", "any_value_is_missing", "never")
LISTS = [
    ["integer", "gappy"],
    ["gappy", "float", "empty"],
    ["text", "gaps"],
    ["boolean", "maybe", "integer"],
    ["date", "time"],
    ["float", "Float"],
    ["silent", "empty"],
    ["large", "integer", "float"],
]


def agree(table: pa.Table, *expectations: dict) -> None:
    """Compare each mask with Great Expectations' verdict and count; where it can't check, neither can we."""
    report = validate(ValidationConfig(expectations=expectations), table)
    for arguments, result in zip(expectations, report.results, strict=True):
        expectation = ExpectationConfig(**arguments)
        if result.unexpected_rows is None:
            assert cannot_be_checked(expectation, table), (arguments, result)
            continue
        mask = find_unexpected(expectation, table)
        found = (mask.unexpected_rows, mask.meets(arguments.get("mostly", 1)))
        assert found == (result.unexpected_rows, result.success), (arguments, result)


def cannot_be_checked(expectation: ExpectationConfig, table: pa.Table) -> bool:
    """Whether our mask says so too, or there is no value to look at."""
    try:
        return not find_unexpected(expectation, table).considered_rows
    except (TypeError, ValueError):
        return True


def test_every_row_wise_expectation_has_its_mask():
    """What `check` lets through under quarantine, and the masks that there are, are the same names."""
    assert set(VALUE_CHECKS) | set(ROW_CHECKS) == ROW_WISE
    assert {kind for kind, _ in SINGLE} == set(VALUE_CHECKS)
    assert is_row_wise(ExpectationConfig(type="expect_column_values_to_be_unique", column="a"))
    assert not is_row_wise(ExpectationConfig(type="expect_column_mean_to_be_between", column="a"))


@pytest.mark.parametrize("column", COLUMNS)
def test_masks_of_one_column_agree_with_great_expectations(column):
    """Whatever a column holds, each expectation about its values counts what Great Expectations counts."""
    agree(TABLE, *({"type": kind, "column": column, **arguments} for kind, arguments in SINGLE))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_masks_of_pairs_agree_with_great_expectations(first, second):
    """Two columns of any types, with gaps on either side."""
    kinds = [
        ("expect_column_pair_values_to_be_equal", {}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"or_equal": True}),
        *(("expect_column_pair_values_to_be_in_set", {"value_pairs_set": pairs}) for pairs in PAIR_SETS),
    ]
    agree(
        TABLE,
        *(
            {"type": kind, "column_A": first, "column_B": second, **arguments, **ignored}
            for kind, arguments in kinds
            for ignored in ({"ignore_row_if": how} for how in IGNORE_PAIR)
        ),
    )


@pytest.mark.parametrize("columns", LISTS, ids="-".join)
def test_masks_of_several_columns_agree_with_great_expectations(columns):
    """Lists of columns of any types, with gaps anywhere."""
    kinds = [
        ("expect_compound_columns_to_be_unique", {}),
        ("expect_multicolumn_values_to_be_equal", {}),
        ("expect_select_column_values_to_be_unique_within_record", {}),
        ("expect_multicolumn_sum_to_equal", {"sum_total": 4}),
        ("expect_multicolumn_sum_to_equal", {"sum_total": "2.1"}),
    ]
    agree(
        TABLE,
        *(
            {"type": kind, "column_list": columns, **arguments, **ignored}
            for kind, arguments in kinds
            for ignored in ({}, *({"ignore_row_if": how} for how in IGNORE_LIST))
        ),
    )


def test_masks_under_a_row_condition_agree_with_great_expectations():
    """A condition narrows the rows before anything else does."""
    conditions = (
        'text == "a"',
        "integer > 1 and float < 3",
        "maybe == True",
        "`dotted.name ü` > 2",
        "integer > 99",
    )
    kinds = [
        {"type": "expect_column_values_to_be_between", "column": "gappy", "max_value": 5},
        {"type": "expect_column_values_to_not_be_null", "column": "gappy"},
        {"type": "expect_column_values_to_be_null", "column": "gappy", "mostly": 0.5},
        {"type": "expect_column_values_to_be_unique", "column": "integer"},
        {
            "type": "expect_column_value_z_scores_to_be_less_than",
            "column": "integer",
            "threshold": 1,
            "double_sided": True,
        },
        {"type": "expect_column_pair_values_to_be_equal", "column_A": "integer", "column_B": "gappy"},
        {"type": "expect_compound_columns_to_be_unique", "column_list": ["integer", "boolean"]},
    ]
    agree(TABLE, *({**kind, "row_condition": condition} for kind in kinds for condition in conditions))


NUMBERS = st.one_of(st.none(), st.integers(-3, 3), st.integers(2**53 - 1, 2**53 + 2))
FLOATS = st.one_of(st.none(), st.floats(width=32), st.sampled_from([0.1, -0.0, 1.0]))
TEXTS = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["1", "1.0", "true", "2020-02-30"]))
MOMENTS = st.one_of(st.none(), st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)))
BOOLEANS = st.one_of(st.none(), st.booleans())
ROWS = st.lists(st.tuples(NUMBERS, FLOATS, TEXTS, MOMENTS, BOOLEANS), min_size=1, max_size=12)


KINDS = [
    *(
        ("expect_column_values_to_be_" + name, {"column": column})
        for name in ("between", "in_set", "null", "unique")
        for column in "nfstb"
    ),
    *(
        ("expect_column_values_to_not_be_" + name, {"column": column})
        for name in ("in_set", "null")
        for column in "nfstb"
    ),
    *(
        ("expect_column_values_to_match_regex", {"column": column, "regex": r"[1a]|\.|^$"})
        for column in "nfstb"
    ),
    *(
        ("expect_column_values_to_be_" + name, {"column": "s"})
        for name in ("dateutil_parseable", "json_parseable")
    ),
    *(("expect_column_value_lengths_to_equal", {"column": column, "value": 3}) for column in "nfstb"),
    ("expect_column_pair_values_to_be_equal", {"column_A": "n", "column_B": "f"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "f", "column_B": "n"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["n", "b"]}),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["n", "f"], "sum_total": 1}),
]
CHOSEN = st.lists(st.sampled_from(KINDS), min_size=1, max_size=6, unique_by=str)
MOSTLY = st.sampled_from([1, 0.9, 0.75, 2 / 3, 0.5, 0])


@given(ROWS, CHOSEN, MOSTLY, st.integers(-3, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_masks_of_any_rows_agree_with_great_expectations(rows, chosen, mostly, number):
    """Any values, any share that is allowed to be unexpected."""
    types = {"n": pa.int64(), "f": pa.float64(), "s": pa.string(), "t": pa.timestamp("us"), "b": pa.bool_()}
    columns = list(zip(*rows, strict=True))
    table = pa.table(
        {name: pa.array(c, kind) for c, (name, kind) in zip(columns, types.items(), strict=True)}
    )
    arguments = {"mostly": mostly, "min_value": number, "value_set": [number, str(number), 0.1, "true", True]}
    agree(table, *({**arguments_of(kind, arguments), **columns} for kind, columns in chosen))


def arguments_of(kind: str, offered: dict) -> dict:
    """The type, with those of the offered arguments that it takes."""
    return {"type": kind, **{key: value for key, value in offered.items() if key in EXPECTATIONS[kind]}}


def test_a_mask_names_the_rows_by_their_places():
    """The mask has one entry a row, also where nulls and a condition left rows out of the view."""
    table = pa.table({"a": [9, None, 1, 9, 9], "s": ["x", "x", "x", "x", "y"]})
    expectation = ExpectationConfig(
        type="expect_column_values_to_be_between", column="a", max_value=5, row_condition='s == "x"'
    )

    mask = find_unexpected(expectation, table)

    assert mask.unexpected.tolist() == [True, False, False, True, False]
    assert mask.considered_rows == 3


@pytest.mark.parametrize(
    ("kind", "arguments", "says"),
    [
        ("expect_column_values_to_be_between", {"min_value": 1, "strict_min": "no"}, "strict_min is 'no'"),
        ("expect_column_values_to_not_be_outliers", {"method": "mad"}, "method is 'mad'"),
        (
            "expect_column_values_to_be_between",
            {"min_value": "2020-01-02", "max_value": "2020-01-01"},
            "greater",
        ),
    ],
)
def test_arguments_that_say_nothing_known_are_named(kind, arguments, says):
    """What can't be read is told by name, and makes no mask."""
    with pytest.raises((TypeError, ValueError), match=says):
        find_unexpected(ExpectationConfig(type=kind, column="time", **arguments), TABLE)


def test_an_unknown_way_to_ignore_rows_is_named():
    """A wrong `ignore_row_if` lists what it may be."""
    expectation = ExpectationConfig(
        type="expect_compound_columns_to_be_unique", column_list=["integer"], ignore_row_if="sometimes"
    )

    with pytest.raises(ValueError, match=r"'sometimes'; expected one of .*never"):
        find_unexpected(expectation, TABLE)


def test_nothing_looked_at_is_nothing_unexpected():
    """An expectation about no row is met."""
    assert Mask(np.zeros(3, dtype=bool), 0).meets(1)
