from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from evertrain.columns import encode_inputs
from evertrain.packaging.golden import HELD_OUT_ROWS, UNSEEN, choose_rows, make_golden, to_json
from evertrain.predictions import Prediction
from evertrain.records import Feature

FEATURES = (
    Feature(name="x", kind="numeric", type="float"),
    Feature(name="c", kind="categorical", type="string"),
    Feature(name="day", kind="categorical", type="date"),
    Feature(name="when", kind="datetime", type="timestamp"),
)


def columns(rows: int) -> dict[str, np.ndarray]:
    days = np.datetime64("2013-01-01T05:30", "us") + np.arange(rows).astype("timedelta64[D]")
    numbers = np.arange(rows) / 10
    numbers[0] = np.nan
    return {"x": numbers, "c": np.array(["a", None] * rows, dtype=object)[:rows], "day": days, "when": days}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (np.float64("nan"), None),
        (np.datetime64("NaT"), None),
        (np.float32(0.1), 0.1),
        (np.float64(1 / 3), 1 / 3),
        (Decimal("1.50"), 1.5),
        (np.int64(2**60 + 1), 2**60 + 1),
        (np.bool_(True), True),
        (False, False),
        ("Yes", "Yes"),
        (np.datetime64("2013-01-31T05:00", "m"), "2013-01-31T05:00:00"),
        (date(2013, 1, 31), "2013-01-31"),
    ],
)
def test_a_raw_value_becomes_what_a_caller_would_send(value: Any, expected: Any) -> None:
    """Each kind of raw value has one JSON spelling, of the same type."""
    found = to_json(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_rows_are_held_out_missing_and_unseen_ones(rows: int) -> None:
    """At most 18 rows: some held-out ones, then one without any value, then one of unseen texts."""
    chosen = choose_rows(FEATURES, columns(rows))
    assert {len(values) for values in chosen.values()} == {min(rows, HELD_OUT_ROWS) + 2}
    assert [values[-2] for values in chosen.values()] == [None] * 4
    assert chosen["c"][-1] == UNSEEN
    assert chosen["day"][-1] == "2013-01-01T05:30:00"


def test_chosen_rows_are_encoded_like_the_raw_ones() -> None:
    """By way of JSON the column layer makes the same inputs of a row as of the raw arrays."""
    raw = columns(7)
    chosen = json.loads(json.dumps(choose_rows(FEATURES, raw)))
    encoded = encode_inputs(FEATURES, chosen)
    for name, expected in encode_inputs(FEATURES, raw).items():
        assert np.array_equal(encoded[name][:7], expected, equal_nan=expected.dtype.kind == "f")


def test_the_answers_are_written_down() -> None:
    """Golden rows hold what the model answers, so that asking again reproduces it."""
    golden = make_golden(FEATURES, columns(3), lambda inputs: Prediction(values=np.arange(5.0)), 1e-5)
    assert golden.values == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert golden.codes is golden.probabilities is None
    assert golden.tolerance == 1e-5
    assert np.array_equal(golden.expected.values, np.arange(5.0))
