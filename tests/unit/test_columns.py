"""The column layer: raw values to model inputs."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain import columns
from evertrain.columns import InputSpec, encode_inputs, encode_target, input_names, numeric_offset
from evertrain.errors import InvalidInput
from evertrain.records import Feature

NUMBER = Feature(name="n", kind="numeric", type="float")
WHOLE = Feature(name="n", kind="numeric", type="integer")
FLAG = Feature(name="n", kind="numeric", type="boolean")
TEXT = Feature(name="n", kind="categorical", type="string")
TIME = Feature(name="n", kind="datetime", type="timestamp")
DAY = Feature(name="n", kind="categorical", type="date")
NAN = float("nan")


def encode(feature, values):
    return encode_inputs([feature], {"n": values})


def one(feature, values):
    return encode(feature, values)["in_000"]


def times_of(values):
    parts = encode(TIME, values)
    return [
        tuple(parts[f"in_000_{part}"][row] for part in ("year", "month", "dayofweek", "hour"))
        for row in range(len(values))
    ]


def test_inputs_follow_the_features_order():
    """Inputs are numbered in feature order, a datetime gives four, and other columns are not looked at."""
    features = [
        Feature(name="b c", kind="categorical", type="string"),
        TIME,
        WHOLE.model_copy(update={"name": "é"}),
    ]
    columns = {"é": [1], "n": ["2013-01-01"], "b c": ["x"], "other": [[1], [2]]}

    inputs = encode_inputs(features, columns)

    names = ["in_000", "in_001_year", "in_001_month", "in_001_dayofweek", "in_001_hour", "in_002"]
    assert list(inputs) == names
    assert [spec.name for spec in input_names(features)] == names
    assert input_names(features)[0] == InputSpec("in_000", "string")
    assert all(spec.kind == "float" for spec in input_names(features)[1:])
    assert all(
        inputs[spec.name].dtype == (object if spec.kind == "string" else np.float32)
        for spec in input_names(features)
    )


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (NUMBER, [1, 2.5, None]),
        (WHOLE, [1, 2.5, NAN]),
        (WHOLE, np.array([1, 2.5, None], dtype=object)),
        (WHOLE, [Decimal(1), np.float32(2.5), pd.NA]),
        (NUMBER, np.array([1, 2.5, NAN], dtype=np.float32)),
    ],
)
def test_numbers_become_float32(feature, values):
    """Integers, floats and decimals are numbers; what is missing is NaN."""
    encoded = one(feature, values)

    assert encoded.dtype == np.float32
    assert encoded.tolist()[:2] == [1.0, 2.5]
    assert math.isnan(encoded[2])


def test_the_offset_is_taken_off_before_the_cast():
    """Differences that float32 can't show beside a large middle survive."""
    feature = Feature(name="n", kind="numeric", type="integer", offset=1_700_000_000.0)

    assert one(feature, [1_700_000_001, 1_700_000_002]).tolist() == [1.0, 2.0]
    assert one(feature, np.array([1_700_000_001, 1_700_000_002])).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "values", [[True, False, None], [1, 0, None], np.array([True, False, None], dtype=object)]
)
def test_booleans_are_one_and_zero(values):
    """A boolean feature takes true, false, 1 and 0."""
    encoded = one(FLAG, values)

    assert encoded.tolist()[:2] == [1.0, 0.0]
    assert math.isnan(encoded[2])
    assert one(FLAG, np.array([True, False])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2013-01-31T05:00:00Z"], (2013, 1, 3, 5)),
        (["2013-01-31T05:00:00+02:00"], (2013, 1, 3, 3)),
        (["2013-01-31"], (2013, 1, 3, 0)),
        (["1969-12-28 23:59:59.5"], (1969, 12, 6, 23)),
        ([date(2013, 1, 31)], (2013, 1, 3, 0)),
        ([datetime(2013, 1, 31, 5, tzinfo=UTC)], (2013, 1, 3, 5)),
        ([datetime(2013, 1, 31, 5, tzinfo=timezone(timedelta(hours=-20)))], (2013, 2, 4, 1)),
        ([np.datetime64("2013-01-31T05", "ns")], (2013, 1, 3, 5)),
        (np.array(["2013-01-31T05"], dtype="datetime64[s]"), (2013, 1, 3, 5)),
    ],
)
def test_times_give_four_numbers_in_utc(values, expected):
    """Year, month, day of week (Monday 0) and hour are those in UTC; without a zone it is UTC."""
    assert times_of(values) == [expected]


@pytest.mark.parametrize(
    "values", [[None, "2013-01-01"], np.array(["NaT", "2013-01-01"], dtype="datetime64[us]")]
)
def test_a_missing_time_is_nan_in_all_four(values):
    """A missing time is missing in each of its inputs."""
    missing, present = times_of(values)

    assert all(math.isnan(part) for part in missing)
    assert present == (2013, 1, 1, 0)


def test_a_date_listed_as_category_is_spelled_in_iso_form():
    """Text, dates and arrays of the same day are one category."""
    expected = ["2013-01-31", "__missing__"]

    assert one(DAY, ["2013-01-31T05:00:00", None]).tolist() == expected
    assert one(DAY, np.array(["2013-01-31", "NaT"], dtype="datetime64[us]")).tolist() == expected


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        (WHOLE, "3", "expected a number, found '3'"),
        (WHOLE, True, "expected a number, found True"),
        (NUMBER, [1], "found a nested value"),
        (NUMBER, {"a": None}, "found a nested value"),
        (NUMBER, float("inf"), "finite number that fits 32 bits, found inf"),
        (NUMBER, 1e39, "finite number that fits 32 bits"),
        (NUMBER, -(10**400), "finite number that fits 32 bits, found -10+…"),
        (NUMBER, date(2013, 1, 1), "expected a number"),
        (FLAG, 2, "expected true or false, found 2"),
        (FLAG, "true", "expected true or false, found 'true'"),
        (TEXT, ["a"], "expected text, a number or a boolean, found a nested value"),
        (TEXT, "\ud800", r"expected text, a number or a boolean, found '\\ud800'"),
        (TIME, "yesterday", "expected an ISO 8601 time"),
        (TIME, 1357000000, "expected an ISO 8601 time .*, found 1357000000"),
        (TIME, True, "expected an ISO 8601 time"),
        (TIME, "0001-01-01T00:00:00+10:00", "expected an ISO 8601 time"),
        (DAY, 3, "expected an ISO 8601 time"),
    ],
)
def test_ill_typed_values_are_refused_by_name(feature, value, expected):
    """The refusal names the column, the row, what was expected and what was found."""
    good = {"numeric": 1, "categorical": "2013-01-01", "datetime": "2013-01-01"}[feature.kind]

    with pytest.raises(InvalidInput, match=expected) as caught:
        encode(feature, [None, good, value])

    assert caught.value.field == "n"
    assert "Column 'n', row 2" in caught.value.message


@pytest.mark.parametrize(
    "values",
    [np.array([True]), np.array(["a"]), np.array([np.inf]), np.array(["2013-01-01"], dtype="datetime64[D]")],
)
def test_ill_typed_arrays_are_refused(values):
    """Typed arrays of the wrong kind are refused as lists are."""
    with pytest.raises(InvalidInput, match="row 0"):
        encode(WHOLE, values)


@pytest.mark.parametrize("values", [np.array([2, 1]), np.array([0.5, 1.0])])
def test_numbers_that_are_no_booleans_are_refused(values):
    """A boolean feature takes no number but 0 and 1."""
    with pytest.raises(InvalidInput, match="row 0: expected true or false"):
        encode(FLAG, values)


def test_a_missing_column_is_named():
    """A column that isn't there is refused by name."""
    with pytest.raises(InvalidInput, match="'n' is missing") as caught:
        encode_inputs([NUMBER], {})

    assert caught.value.field == "n"


def test_ragged_columns_are_named():
    """A column of another length is refused by name."""
    other = Feature(name="m", kind="numeric", type="float")

    with pytest.raises(InvalidInput, match="'m' has 1 values where others have 2"):
        encode_inputs([NUMBER, other], {"n": [1, 2], "m": [1]})


def test_arrays_of_two_dimensions_are_refused():
    """A column is one value a row."""
    with pytest.raises(InvalidInput, match="2 dimensions"):
        encode(NUMBER, np.ones((2, 1)))


VALUES = {
    NUMBER: st.none() | st.integers(-(2**60), 2**60) | st.floats(-1e38, 1e38),
    FLAG: st.none() | st.booleans() | st.sampled_from([0, 1, 0.0, 1.0]),
    TEXT: st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_infinity=False)
    | st.text("aé1 .", max_size=3),
    TIME: st.none() | st.datetimes(timezones=st.none() | st.just(UTC)).map(datetime.isoformat),
}


@pytest.mark.parametrize("feature", VALUES, ids=lambda feature: f"{feature.kind} {feature.type}")
@given(data=st.data())
def test_rows_are_encoded_one_by_one(feature, data):
    """Encoding n rows equals encoding each row; a list and an object array agree."""
    values = data.draw(st.lists(VALUES[feature], min_size=1, max_size=5))
    whole = encode(feature, values)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    rows = [encode(feature, [value]) for value in values]

    for name, encoded in whole.items():
        np.testing.assert_array_equal(encoded, np.concatenate([row[name] for row in rows]))
        np.testing.assert_array_equal(encoded, encode(feature, array)[name])


@given(st.lists(st.integers(-(2**62), 2**62)) | st.lists(st.floats(-1e38, 1e38)))
def test_typed_arrays_and_lists_of_numbers_agree(values):
    """A typed array gives the inputs that the list of its values gives, as number and as category."""
    for feature in (NUMBER, TEXT):
        np.testing.assert_array_equal(one(feature, np.array(values)), one(feature, values))


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["Yes", "No", None, "Maybe"], ("No", "Yes"), [1, 0, -1, -1]),
        (np.array([True, False]), (False, True), [1, 0]),
        (np.array([1.0, 0.0, NAN]), (0, 1), [1, 0, -1]),
        (["true", 1], (False, True), [1, -1]),
        ([], (0, 1), []),
    ],
)
def test_labels_become_the_places_of_their_classes(labels, classes, expected):
    """Labels are compared by their spelling; one that was never seen is -1."""
    codes = encode_target(labels, classes)

    assert codes.dtype == np.int64
    assert codes.tolist() == expected


@pytest.mark.parametrize(
    ("whole", "largest", "mean", "spread", "offset"),
    [
        (True, 0.0, 0.0, 0.0, 0.0),
        (True, 2**24, 1e3, 1.0, 0.0),
        (True, 2**24 + 9, 5.0, 1.0, 7.0),
        (False, 2**24 + 9, 5.0, 1.0, 0.0),
        (False, 1e6, 1e6, 0.25, 7.5),
        (False, 1e6, -1e6, 0.25, 7.5),
        (True, 1e6, 1e6, 0.25, 7.0),
    ],
)
def test_offsets(whole, largest, mean, spread, offset):
    """Integers beyond 2^24 and means over 1000 spreads get the median, whole where all are."""
    facts = {"whole": whole, "largest": largest, "mean": mean, "spread": spread}

    assert numeric_offset(**facts, middle=lambda: 7.5) == offset


def test_the_median_is_not_asked_for_in_vain():
    """It takes a sort."""
    assert numeric_offset(whole=True, largest=5.0, mean=2.0, spread=1.0, middle=lambda: 1 / 0) == 0.0


NUMBERS = st.one_of(st.none(), st.integers(-(10**38), 10**38), st.floats(width=64, allow_infinity=False))
OFFSETS = st.sampled_from([0.0, 1e9, 12345.678, -(2.0**60)])


@given(values=st.lists(NUMBERS, min_size=1, max_size=columns.FEW), offset=OFFSETS)
def test_few_rows_are_encoded_as_many_are(values, offset):
    """A row alone gets the very bits that it gets among many: the way for few rows changes nothing."""
    feature = Feature(name="x", kind="numeric", type="float", offset=offset)
    fitting = [value if value is None or not abs(value) > columns.LARGEST / 2 else 1.0 for value in values]
    padding = [0.0] * columns.FEW

    few = encode_inputs([feature], {"x": fitting})["in_000"]
    many = encode_inputs([feature], {"x": fitting + padding})["in_000"]

    np.testing.assert_array_equal(few, many[: len(fitting)])
    assert few.dtype == many.dtype == np.float32
