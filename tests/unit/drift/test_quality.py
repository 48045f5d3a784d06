"""Tests of what a check tells of missing values, new categories and numbers out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.datasets.stored_rows import rows_of_table
from evertrain.drift import measure_drift, plan_drift
from evertrain.drift.quality import chance_bound
from evertrain.drift_records import DriftMeasured, QualityFinding
from evertrain.records import Feature


def measure(kind: Any, reference: pa.Array, current: pa.Array) -> DriftMeasured:
    feature = Feature(name="x", kind=kind, type="timestamp" if kind == "datetime" else "other")
    sides = [rows_of_table(pa.table({"x": values})) for values in (reference, current)]
    return measure_drift(plan_drift([feature], sides[0]), *sides, max_share=0.0)


def holes(rng: np.random.Generator, rows: int, share: float) -> pa.Array:
    return pa.array(rng.normal(size=rows), mask=rng.random(rows) < share)


def test_values_that_go_missing_are_an_alert_and_no_drift() -> None:
    """A tenth of the values is lost: what is left is spread as before."""
    rng = np.random.default_rng(0)
    measured = measure("numeric", holes(rng, 4000, 0.01), holes(rng, 600, 0.1))
    (found,) = [each for each in measured.quality if each.kind == "missing"]
    assert found.alert
    assert found.current == pytest.approx(0.1, abs=0.03)
    assert found.words.startswith("x: ")
    assert not measured.drifted


def test_a_feed_that_is_mended_is_told_too() -> None:
    """Values where none were before are a change of quality as well."""
    rng = np.random.default_rng(0)
    measured = measure("numeric", holes(rng, 4000, 0.5), holes(rng, 600, 0.0))
    assert [(each.kind, each.alert) for each in measured.quality if each.kind == "missing"] == [
        ("missing", True)
    ]


def test_a_new_category_is_named() -> None:
    """Six rows of a hundred bear a word that was never learnt; the most frequent stand first."""
    reference = pa.array(["a", "b", "c"] * 1000)
    measured = measure("categorical", reference, pa.array(["a", "b"] * 470 + ["new"] * 40 + ["odd"] * 20))
    (found,) = measured.quality
    assert (found.kind, found.rows, found.alert, found.examples) == ("unseen", 60, True, ("new", "odd"))
    assert (found.reference, found.current) == (0.0, 0.06)


def test_new_categories_where_each_row_bears_one_are_no_alert() -> None:
    """Names and numbers of orders are new in every window; that is told, and expected."""
    reference = pa.array([f"order {n}" for n in range(2000)])
    measured = measure("categorical", reference, pa.array([f"later {n}" for n in range(500)]))
    (found,) = measured.quality
    assert (found.kind, found.reference, found.current, found.alert) == ("unseen", 1.0, 1.0, False)


def test_numbers_out_of_range_are_told_with_how_far() -> None:
    """Both ends; a lone one is told and is no alert."""
    reference = pa.array(np.linspace(0, 1, 3000))
    inside = np.linspace(0.1, 0.9, 470)
    measured = measure("numeric", reference, pa.array([*inside, *[-5.0] * 10, *[70.0] * 20]))
    (found,) = [each for each in measured.quality if each.kind == "out_of_range"]
    assert (found.rows, found.alert, found.examples) == (30, True, ("-5", "70"))
    (lone,) = measure("numeric", reference, pa.array([*inside, 2.0])).quality
    assert (lone.rows, lone.alert, lone.examples) == (1, False, ("2",))


def test_a_times_missing_values_are_told_once() -> None:
    """A datetime feature has four parts, which miss alike."""
    times = np.datetime64("2024-01-01T00:00", "us") + np.arange(2000) * np.timedelta64(1, "h")
    gaps = pa.array(times[:500], mask=np.arange(500) % 3 == 0)
    measured = measure("datetime", pa.array(times), gaps)
    assert [(each.column, each.kind, each.alert) for each in measured.quality] == [("x", "missing", True)]


def test_unchanged_rows_give_hardly_an_alert() -> None:
    """Sixteen windows with holes, ranges and rare categories like their reference's: none at the level."""
    rng = np.random.default_rng(1)
    alerts: list[QualityFinding] = []
    for _ in range(8):
        alerts += measure("numeric", holes(rng, 2000, 0.2), holes(rng, 200, 0.2)).quality
        rare = [pa.array(np.minimum(rng.zipf(1.6, rows), 10**6).astype(str)) for rows in (2000, 200)]
        alerts += measure("categorical", *rare).quality
    assert alerts
    assert not [each for each in alerts if each.alert]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e6))
def test_a_bound_of_a_chance_is_one(share: float, expected: float, rows: float) -> None:
    """Between 0 and 1 whatever the shares, and 1 where nothing is unexpected."""
    assert 0 <= chance_bound(share, expected, rows) <= 1
    assert chance_bound(expected, expected, rows) == pytest.approx(1, abs=1e-5)
