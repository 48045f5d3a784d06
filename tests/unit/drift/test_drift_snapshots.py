from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from evertrain.datasets.stored_rows import rows_of_table
from evertrain.drift import evidently_snapshot, measure_drift, plan_drift
from evertrain.drift.snapshots import EvidentlyReport
from evertrain.drift_records import DriftMeasured, DriftPlan
from evertrain.errors import EvertrainError
from evertrain.quiet import quiet
from evertrain.records import Feature

NUMERIC, CATEGORICAL = "wasserstein", "jensenshannon"
KINDS: dict[str, tuple[str, str]] = {
    "normal": ("numeric", "float"),
    "holes": ("numeric", "float"),
    "endless": ("numeric", "float"),
    "whole": ("numeric", "integer"),
    "large": ("numeric", "integer"),
    "flag": ("numeric", "boolean"),
    "constant": ("numeric", "float"),
    "left.constant": ("numeric", "float"),
    "text": ("categorical", "string"),
    "gaps": ("categorical", "string"),
    "new ones": ("categorical", "string"),
    "codes": ("categorical", "integer"),
    "switch": ("categorical", "boolean"),
    "day": ("categorical", "date"),
}
FEATURES = [Feature(name=name, kind=kind, type=logical) for name, (kind, logical) in KINDS.items()]  # type: ignore[arg-type]


def make_side(rows: int, seed: int, moved: float) -> pa.Table:
    rng = np.random.default_rng(seed)
    normal = rng.normal(moved, 1 + moved, rows)
    letters = rng.choice(list("abcdé"), rows, p=[0.5 - moved / 2, 0.2 + moved / 2, 0.1, 0.1, 0.1])
    return pa.table(
        {
            "normal": normal,
            "holes": pa.array(normal * 3, mask=rng.random(rows) < 0.2),
            "endless": np.where(rng.random(rows) < 0.1, np.inf, normal),
            "whole": rng.poisson(5 + moved, rows),
            "large": rng.integers(0, 10**12, rows) + int(moved * 10**11),
            "flag": rng.random(rows) < 0.3 + moved / 5,
            "constant": np.full(rows, 4.25),
            "left.constant": np.full(rows, 4.25 + moved),
            "text": letters,
            "gaps": pa.array(letters, mask=rng.random(rows) < 0.3),
            "new ones": [f"{letter}{int(moved * n) % 3}" for n, letter in enumerate(letters)],
            "codes": rng.integers(0, 9, rows) + int(moved * 4),
            "switch": rng.random(rows) < 0.5 + moved / 4,
            "day": np.datetime64("2013-01-01") + rng.integers(0, 5 + int(moved * 9), rows),
        }
    )


def ask_evidently(reference: pa.Table, current: pa.Table) -> dict[str, float]:
    """Evidently's own scores of all rows, as the columns come out of Arrow.

    Its numbers may not be booleans, so it is given 0 and 1.
    """
    with quiet():
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

        methods = {name: NUMERIC if kind == "numeric" else CATEGORICAL for name, (kind, _) in KINDS.items()}
        definition = DataDefinition(
            numerical_columns=[name for name, method in methods.items() if method == NUMERIC],
            categorical_columns=[name for name, method in methods.items() if method == CATEGORICAL],
        )
        report = Report([ValueDrift(column=name, method=method) for name, method in methods.items()])
        sides = [
            Dataset.from_pandas(table.to_pandas().astype({"flag": int}), data_definition=definition)
            for table in (current, reference)
        ]
        found = report.run(*sides).dict()["metrics"]
    return {metric["config"]["column"]: float(metric["value"]) for metric in found}


@pytest.mark.parametrize("rows", [(700, 700), (1500, 400), (300, 1100)])
def test_scores_are_evidentlys_own(rows: tuple[int, int]) -> None:
    """To 1e-9, on all rows, with missing, infinite, new, constant, boolean, whole and dated values."""
    sides = make_side(rows[0], 1, 0.0), make_side(rows[1], 2, 0.4)

    measured = measure_drift(plan_drift(FEATURES), *map(rows_of_table, sides), max_share=0.3)
    expected = ask_evidently(*sides)

    assert {column.name: column.score for column in measured.columns} == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )
    for column in measured.columns:
        assert column.threshold >= 0.1
        assert column.drifted == (expected[column.name] >= column.threshold)


class Told:
    """One check, and what Evidently was made to tell of it from a sample."""

    def __init__(self, max_share: float) -> None:
        reference, current = make_side(4000, 1, 0.0), make_side(3000, 2, 0.4)
        empty = pa.nulls(4000, pa.float64()), pa.nulls(3000, pa.float64())
        features = [*FEATURES, Feature(name="empty", kind="numeric", type="float")]
        self.plan: DriftPlan = plan_drift(features)
        self.sides = [
            rows_of_table(table.append_column("empty", nulls))
            for table, nulls in zip((reference, current), empty, strict=True)
        ]
        self.measured: DriftMeasured = measure_drift(self.plan, *self.sides, max_share=max_share)
        told = evidently_snapshot(self.plan, self.measured, *self.sides, seed=0, sample_rows=300)
        assert told is not None
        self.report: EvidentlyReport = told

    @property
    def statuses(self) -> list[Any]:
        return [test["status"] for test in self.report.json["tests"]]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told(max_share=0.3)


def test_evidentlys_snapshot_has_our_scores(told: Told) -> None:
    """What it reports of a column is the score of all rows, not that of the few it was drawn from."""
    _, *metrics = told.report.json["metrics"]
    scores = {metric["config"]["column"]: metric["value"] for metric in metrics}
    assert scores == {column.name: column.score for column in told.measured.columns if column.name in scores}
    assert set(KINDS) == set(scores)
    assert {metric["config"]["method"] for metric in metrics} == {
        "wasserstein_full_data",
        "jensenshannon_full_data",
    }


def test_evidentlys_tests_are_our_verdicts(told: Told) -> None:
    """Each column's test, and the test of their share, pass and fail as we decided."""
    _, *statuses = told.statuses
    judged = [column for column in told.measured.columns if column.score is not None]
    assert statuses == ["FAIL" if column.drifted else "SUCCESS" for column in judged]
    assert told.report.json["metrics"][0]["value"]["count"] == sum(column.drifted for column in judged)
    assert told.statuses[0] == "FAIL"
    assert told.measured.drifted


def test_a_share_that_is_allowed_passes() -> None:
    """The share is of all columns, the empty one among them: exactly as much as may drift may."""
    told = Told(max_share=0.3)
    share = told.measured.share
    again = measure_drift(told.plan, *told.sides, max_share=share)
    report = evidently_snapshot(told.plan, again, *told.sides, seed=0, sample_rows=50)
    assert report is not None
    assert report.json["tests"][0]["status"] == "SUCCESS"
    assert not again.drifted


@pytest.mark.parametrize(("max_share", "status"), [(0.3, "FAIL"), (0.5, "SUCCESS"), (0.0, "FAIL")])
def test_a_column_that_vanished_counts_in_evidentlys_verdict_too(max_share: float, status: str) -> None:
    """Evidently can't be shown such a column; its test of the share still says what ours does."""
    reference = pa.table({"steady": [1.0, 2.0], "gone": [1.0, 2.0]})
    sides = rows_of_table(reference), rows_of_table(reference.select(["steady"]))
    plan = plan_drift([Feature(name=name, kind="numeric", type="float") for name in ("steady", "gone")])
    measured = measure_drift(plan, *sides, max_share=max_share)

    report = evidently_snapshot(plan, measured, *sides, seed=0)

    assert report is not None
    assert report.json["tests"][0]["status"] == status
    assert measured.drifted == (status == "FAIL")


def test_evidentlys_page_says_that_scores_are_of_full_data(told: Told) -> None:
    """The page stands alone, and its tests' names tell where the numbers come from."""
    page = told.report.html.decode()
    assert "<html" in page
    assert "Wasserstein distance (normed), full data" in page
    assert json.loads(json.dumps(told.report.json)) == told.report.json


def test_names_and_categories_are_no_script_on_evidentlys_page() -> None:
    """Evidently writes its data into a script as they stand; what would end the script is spelt otherwise."""
    hostile = "</script><script>alert(1)</script>"
    table = pa.table({hostile: ["a", hostile, "b"] * 50})
    sides = rows_of_table(table), rows_of_table(table)
    plan = plan_drift([Feature(name=hostile, kind="categorical", type="string")])
    measured = measure_drift(plan, *sides, max_share=0.3)

    report = evidently_snapshot(plan, measured, *sides, seed=0)

    assert report is not None
    page = report.html.decode()
    assert "<script>alert" not in page
    told, _ = re.findall(r"^ *var \w*metric_\w+ = (.*);$", page, re.MULTILINE)
    assert hostile in json.dumps(json.loads(told))


def test_a_column_whose_values_the_sample_misses_is_drawn_too() -> None:
    """One known value in thousands, or numbers beyond what Evidently can bin, don't break its report."""
    features = [
        Feature(name="rare", kind="numeric", type="float"),
        Feature(name="rare text", kind="categorical", type="string"),
        Feature(name="huge", kind="numeric", type="float"),
        Feature(name="when", kind="datetime", type="timestamp"),
    ]
    rows = 3000
    table = pa.table(
        {
            "rare": pa.array([*[None] * (rows - 1), 2.0], pa.float64()),
            "rare text": pa.array([*[None] * (rows - 1), "x"], pa.string()),
            "huge": np.linspace(-1e150, 1e150, rows),
            "when": np.datetime64("2013-01-01T00:00:00", "us") + np.arange(rows),
        }
    )
    sides = rows_of_table(table), rows_of_table(table)
    plan = plan_drift(features)
    measured = measure_drift(plan, *sides, max_share=0.3)

    report = evidently_snapshot(plan, measured, *sides, seed=0, sample_rows=10)

    assert report is not None
    assert len(report.json["tests"]) == 8


def test_where_nothing_could_be_scored_evidently_isnt_asked() -> None:
    """Evidently refuses empty columns; there is no report then."""
    empty = rows_of_table(pa.table({"x": pa.nulls(3)}))
    plan = plan_drift([Feature(name="x", kind="numeric", type="float")])
    measured = measure_drift(plan, empty, empty, max_share=0.3)
    assert evidently_snapshot(plan, measured, empty, empty, seed=0) is None


def test_what_evidently_cant_draw_is_told() -> None:
    """Its failure is ours to tell, and leaves the measured scores alone."""
    reader = rows_of_table(pa.table({"x": ["a", "b"]}))
    plan = plan_drift([Feature(name="x", kind="categorical", type="string")])
    measured = measure_drift(plan, reader, reader, max_share=0.3)
    # A method for numbers, which Evidently won't use for categories.
    (column,) = plan.columns
    wrong = DriftPlan(columns=(column.model_copy(update={"method": "wasserstein"}),))
    with pytest.raises(EvertrainError, match="Evidently can't draw"):
        evidently_snapshot(wrong, measured, reader, reader, seed=0)
