from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.datasets.stored_rows import rows_of_table
from evertrain.drift import measure_drift, plan_drift
from evertrain.drift_records import ColumnDrift, DriftMeasured, DriftPlan
from evertrain.records import Feature

LIGHT = """
import sys, numpy
import evertrain.drift
print(sorted({"evidently", "pandas", "scipy", "sklearn", "pyarrow", "duckdb"} & set(sys.modules)))
"""


def measure(
    features: list[Feature], reference: pa.Table, current: pa.Table, max_share: float = 0.3
) -> DriftMeasured:
    sides = (rows_of_table(table) for table in (reference, current))
    return measure_drift(plan_drift(features), *sides, max_share=max_share)


def measure_one(kind: Any, logical: Any, reference: pa.Array, current: pa.Array) -> ColumnDrift:
    tables = [pa.table({"x.y z": values}) for values in (reference, current)]
    (found,) = measure([Feature(name="x.y z", kind=kind, type=logical)], *tables).columns
    return found


def test_a_plan_names_method_and_threshold_of_each_column() -> None:
    """Numbers by Wasserstein, categories by Jensen-Shannon, times by the parts that the model sees."""
    features = [
        Feature(name="n", kind="numeric", type="integer"),
        Feature(name="c", kind="categorical", type="string"),
        Feature(name="t", kind="datetime", type="timestamp"),
    ]

    plan = plan_drift(features)

    assert [(column.name, column.method) for column in plan.columns] == [
        ("n", "wasserstein"),
        ("c", "jensenshannon"),
        ("t (year)", "wasserstein"),
        ("t (month)", "wasserstein"),
        ("t (dayofweek)", "wasserstein"),
        ("t (hour)", "wasserstein"),
    ]
    assert {column.threshold for column in plan.columns} == {0.1}
    assert DriftPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("max_share", "drifted"), [(0.0, True), (0.49, True), (0.5, False), (0.51, False), (1.0, False)]
)
def test_a_check_drifts_above_the_share(max_share: float, drifted: bool) -> None:
    """Half of the columns drifted: more than .49 may, not more than .5."""
    rng = np.random.default_rng(0)
    features = [Feature(name=name, kind="numeric", type="float") for name in ("still", "moved")]
    reference = pa.table({"still": rng.normal(size=900), "moved": rng.normal(size=900)})
    current = pa.table({"still": reference["still"], "moved": rng.normal(1, 1, size=900)})

    measured = measure(features, reference, current, max_share)

    assert [column.drifted for column in measured.columns] == [False, True]
    assert (measured.share, measured.drifted) == (0.5, drifted)
    assert (measured.rows_reference, measured.rows_current) == (900, 900)


def test_only_what_drifted_has_a_picture() -> None:
    """A drifted column's shares add up to 1 on each side; others carry none."""
    found = measure_one("numeric", "float", pa.array(np.arange(50.0)), pa.array(np.arange(50.0) + 40.5))
    assert found.shape is not None
    assert len(found.shape.edges) == len(found.shape.reference) + 1
    assert sum(found.shape.reference) == pytest.approx(1)
    assert sum(found.shape.current) == pytest.approx(1)

    still = measure_one("numeric", "float", pa.array([1.0, 2.0]), pa.array([1.0, 2.0]))
    assert (still.score, still.drifted, still.shape) == (0.0, False, None)


def test_whole_numbers_stand_in_bins_of_their_own() -> None:
    """Hours of a day aren't cut between."""
    found = measure_one("numeric", "integer", pa.array([0, 1, 1, 2] * 30), pa.array([3, 3, 2, 2] * 30))
    assert found.shape is not None
    assert found.shape.edges == (-0.5, 0.5, 1.5, 2.5, 3.5)
    assert found.shape.reference == (0.25, 0.5, 0.25, 0.0)


def test_a_column_that_is_all_but_constant_is_pictured_between_its_ends() -> None:
    """Where nearly all values are one, the bins span all of them."""
    reference, current = [0.5] * 999 + [0.7], [0.5] * 999 + [900.5]
    found = measure_one("numeric", "float", pa.array(reference), pa.array(current))
    assert found.shape is not None
    assert (found.shape.edges[0], found.shape.edges[-1]) == (0.5, 900.5)


def test_numbers_too_large_for_bins_have_no_picture() -> None:
    """A score that can be told is told, where no bins can be cut between such numbers."""
    large = 2.0**60
    found = measure_one("numeric", "integer", pa.array([large] * 3), pa.array([large + 256] * 3))
    assert (found.drifted, found.shape) == (True, None)


def test_rare_categories_are_pictured_together() -> None:
    """The nine most frequent have bars of their own, the rest one."""
    reference, current = [f"c{n:02}" for n in range(30)], ["c00"] * 30 + ["new"] * 20
    found = measure_one("categorical", "string", pa.array(reference), pa.array(current))
    assert found.shape is not None
    assert found.shape.labels[:2] == ("c00", "new")
    assert found.shape.labels[-1] == "others (22)"
    assert sum(found.shape.reference) == pytest.approx(1)


def test_one_spelling_is_one_category() -> None:
    """1, 1.0 and "1" are no drift, nor is a boolean beside its spelling: the model sees the same."""
    whole, real, text = pa.array([1, 2, 2]), pa.array([1.0, 2.0, 2.0]), pa.array(["1", "2", "2"])
    for values in (real, text):
        assert measure_one("categorical", "integer", whole, values).score == 0
    flags = pa.array([True, False, None]), pa.array(["true", "false"])
    assert measure_one("categorical", "boolean", *flags).score == 0


def test_missing_values_are_told_and_not_scored() -> None:
    """The score is of what is known; how much is missing, or infinite, is told for both sides."""
    found = measure_one(
        "numeric", "float", pa.array([1.0, 2.0, None, float("inf")]), pa.array([2.0, 1.0, float("nan")])
    )
    assert found.score == 0
    assert (found.missing_reference_share, found.missing_current_share) == (0.5, pytest.approx(1 / 3))
    text = measure_one("categorical", "string", pa.array(["a", None]), pa.array(["a"]))
    assert (text.score, text.missing_reference_share, text.missing_current_share) == (0, 0.5, 0)


@pytest.mark.parametrize(
    ("kind", "logical", "reference", "current", "reason"),
    [
        ("numeric", "float", [None, float("inf")], [], "no value in the reference and current rows"),
        ("numeric", "float", [1.0], [], "no value in the current rows"),
        ("categorical", "string", [["a"]], ["a"], "in the reference rows Column 'x.y z'"),
        ("numeric", "float", [-1.5e308, 1.5e308], [0.5], "too large to be compared"),
    ],
)
def test_what_cant_be_scored_says_why(
    kind: str, logical: str, reference: list[Any], current: list[Any], reason: str
) -> None:
    """Such a column has no score, hasn't drifted, and counts among the columns."""
    found = measure_one(kind, logical, *map(as_array, (reference, current)))
    assert (found.score, found.drifted) == (None, False)
    assert found.reason is not None
    assert reason in found.reason


@pytest.mark.parametrize(
    ("kind", "logical", "reference", "current", "reason"),
    [
        ("numeric", "float", [1.0], [None], "no value in the current rows"),
        ("categorical", "string", ["a"], [None], "no value in the current rows"),
        ("categorical", "string", [None], ["a"], "no value in the reference rows"),
        ("numeric", "float", [1.0], ["12"], "in the current rows it holds text"),
        ("numeric", "float", [1.0], [[1.0]], "in the current rows it doesn't hold numbers"),
    ],
)
def test_values_that_came_or_went_have_drifted(
    kind: str, logical: str, reference: list[Any], current: list[Any], reason: str
) -> None:
    """A feed that broke is no steady column, though no distance can be told."""
    found = measure_one(kind, logical, *map(as_array, (reference, current)))
    assert (found.score, found.drifted, found.shape) == (None, True, None)
    assert found.reason is not None
    assert reason in found.reason


def as_array(values: list[Any]) -> pa.Array:
    return pa.array(values, pa.float64() if values in ([], [None]) else None)


def test_text_that_is_no_time_is_told_for_each_part() -> None:
    """A datetime feature that turned into words can't be scored in any of its parts."""
    features = [Feature(name="t", kind="datetime", type="timestamp")]
    times = pa.table({"t": np.array(["2013-01-01", "2013-02-01"], dtype="datetime64[us]")})

    measured = measure(features, times, pa.table({"t": ["soon", "later"]}))

    assert [column.score for column in measured.columns] == [None] * 4
    assert measured.share == 1
    assert [column.score for column in measure(features, times, times).columns] == [0] * 4


def test_a_column_that_is_gone_is_told() -> None:
    """A source that lost a column doesn't break the check."""
    features = [Feature(name=name, kind="numeric", type="float") for name in ("here", "gone")]
    both, one = pa.table({"here": [1.0], "gone": [1.0]}), pa.table({"here": [1.0]})

    here, gone = measure(features, both, one).columns

    assert (here.score, here.drifted, gone.drifted) == (0, False, True)
    assert gone.reason == "in the current rows it isn't among the columns"


def test_nothing_to_look_at_has_not_drifted() -> None:
    """A plan without columns gives a share of 0."""
    measured = measure([], pa.table({"x": [1]}), pa.table({"x": [2]}), max_share=0.0)
    assert (measured.share, measured.drifted) == (0.0, False)


def test_measuring_needs_none_of_the_heavy_libraries() -> None:
    """Planning and measuring are numpy alone, so that packaging and a check start at once."""
    ran = subprocess.run(
        [sys.executable, "-c", LIGHT], check=False, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.strip() == "[]", ran.stderr


ANY_FLOAT = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, 1.0, float("inf"), 1.7e308]))
ANY_VALUES = st.one_of(
    st.lists(ANY_FLOAT, max_size=8).map(lambda values: pa.array(values, pa.float64())),
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=8).map(
        lambda values: pa.array(values, pa.int64())
    ),
    st.lists(st.one_of(st.none(), st.booleans()), max_size=8).map(
        lambda values: pa.array(values, pa.bool_())
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=4)), max_size=8).map(
        lambda values: pa.array(values, pa.string())
    ),
    st.lists(st.one_of(st.none(), st.datetimes()), max_size=8).map(
        lambda values: pa.array(values, pa.timestamp("us"))
    ),
    st.lists(st.one_of(st.none(), st.dates()), max_size=8).map(lambda values: pa.array(values, pa.date32())),
    st.integers(0, 5).map(pa.nulls),
    st.integers(1, 8).map(lambda rows: pa.array([3.5] * rows)),
)
KINDS = st.sampled_from(["numeric", "categorical", "datetime"])
TYPES = st.sampled_from(["integer", "float", "boolean", "string", "date", "timestamp", "other"])


@settings(max_examples=400)
@given(KINDS, TYPES, ANY_VALUES, ANY_VALUES)
def test_no_frame_breaks_a_check(kind: Any, logical: Any, reference: pa.Array, current: pa.Array) -> None:
    """Empty, constant, all-null, one row, infinite, of another type: a score that is finite, or a reason."""
    features = [Feature(name="f", kind=kind, type=logical)]

    measured = measure(features, pa.table({"f": reference}), pa.table({"f": current}))

    for column in measured.columns:
        if column.score is None:
            assert column.reason
            assert column.shape is None
        else:
            assert np.isfinite(column.score)
            assert column.score >= 0
            assert column.threshold >= 0.1
            assert column.drifted == (column.score >= column.threshold)
    assert DriftMeasured.model_validate_json(measured.model_dump_json()) == measured


@settings(max_examples=60)
@given(KINDS, ANY_VALUES)
def test_the_same_rows_have_not_drifted(kind: Any, values: pa.Array) -> None:
    """No data drifts from itself."""
    table = pa.table({"f": values})
    assert not measure([Feature(name="f", kind=kind, type="other")], table, table, max_share=0.0).drifted
