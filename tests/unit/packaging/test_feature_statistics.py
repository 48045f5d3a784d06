from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from evertrain.packaging.feature_statistics import MOST_CATEGORIES, describe_features
from evertrain.records import Feature


def describe(kind: Any, values: np.ndarray, logical: Any = "other") -> dict[str, Any]:
    feature = Feature(name="f", kind=kind, type=logical)
    found: dict[str, Any] = describe_features([feature], {"f": values})["f"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, np.nan, 3.0, 5.0]),
        np.array([1, None, 3, 5], dtype=object),
    ],
)
def test_numbers_are_described_without_the_missing_ones(values: np.ndarray) -> None:
    """Mean, spread, ends and quantiles are of the known values; the missing ones are a share."""
    found = describe("numeric", values)
    assert (found["count"], found["missing_share"]) == (3, 0.25)
    assert (found["mean"], found["min"], found["max"]) == (3.0, 1.0, 5.0)
    assert found["std"] == pytest.approx(np.std([1, 3, 5]))
    assert found["quantiles"]["0.5"] == 3.0


def test_booleans_are_numbers() -> None:
    """The mean of a boolean column is its share of true."""
    assert describe("numeric", np.array([True, False, True, True]), "boolean")["mean"] == 0.75


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("numeric", np.array([np.nan, np.nan])),
        ("datetime", np.array(["NaT", "NaT"], dtype="datetime64[us]")),
    ],
)
def test_a_column_without_values_has_a_missing_share_alone(kind: str, values: np.ndarray) -> None:
    """Nothing is made up where nothing is known."""
    assert describe(kind, values) == {"kind": kind, "count": 0, "missing_share": 1.0}


def test_no_rows_are_described_too() -> None:
    """Without rows nothing is missing and nothing is known."""
    assert describe("numeric", np.array([])) == {"kind": "numeric", "count": 0, "missing_share": 0.0}


def test_categories_are_counted_as_they_are_spelled() -> None:
    """1, 1.0 and "1" are one category; the most frequent come first, ties in sort order."""
    values = np.array([1, 1.0, "1", "b", "a", None, True, "b"], dtype=object)
    found = describe("categorical", values)
    assert found["distinct"] == 4
    assert (found["count"], found["missing_share"]) == (7, 1 / 8)
    assert list(found["top"].items()) == [("1", 3 / 8), ("b", 2 / 8), ("a", 1 / 8), ("true", 1 / 8)]


def test_only_twenty_categories_have_their_share_remembered() -> None:
    """Of a column of many categories the most frequent are told, and the names of all, in sort order."""
    found = describe("categorical", np.array([f"c{number}" for number in range(500)], dtype=object))
    assert found["distinct"] == 500
    assert len(found["top"]) == 20
    assert found["categories"] == sorted(f"c{number}" for number in range(500))


def test_a_column_of_very_many_categories_does_not_swell_the_bundle() -> None:
    """Beyond the limit no list is kept, rather than one that isn't whole."""
    for count, listed in ((MOST_CATEGORIES, True), (MOST_CATEGORIES + 1, False)):
        found = describe("categorical", np.array([f"c{number}" for number in range(count)], dtype=object))
        assert ("categories" in found) is listed


def test_what_is_missing_is_no_category() -> None:
    """The list has what was there; nothing stands in for what wasn't."""
    assert describe("categorical", np.array(["b", None, "a"], dtype=object))["categories"] == ["a", "b"]


def test_dates_as_categories_may_be_missing() -> None:
    """A missing date is missing, not a category of its own."""
    found = describe("categorical", np.array(["2013-01-01", "NaT"], dtype="datetime64[us]"))
    assert (found["distinct"], found["missing_share"]) == (1, 0.5)


def test_times_have_ends() -> None:
    """A datetime feature is described by its first and last moment."""
    found = describe("datetime", np.array(["2013-01-01", "NaT", "2013-03-01"], dtype="datetime64[us]"))
    assert (found["min"], found["max"]) == ("2013-01-01T00:00:00", "2013-03-01T00:00:00")
