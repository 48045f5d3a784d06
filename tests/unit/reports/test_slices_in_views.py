from __future__ import annotations

import io

import pytest
from rich.console import Console

from evertrain.cli.train_view import show_outcome
from evertrain.config import PipelineConfig
from evertrain.records import (
    BundleSummary,
    Evaluation,
    GateResult,
    MetricEstimate,
    Quarantined,
    SliceGain,
    SliceGains,
    SnapshotSummary,
    TrainOutcome,
)
from evertrain.reports import run_report

HOSTILE = "<script>alert(1)</script>[red]"


def slices_of(count):
    shown = SliceGain(
        column="c",
        value=HOSTILE,
        rows=300,
        verdict="fail",
        gain=-0.1,
        low=-0.15,
        high=-0.05,
        confidence=0.995,
    )
    small = SliceGain(column="c", value="few", rows=7, verdict="not_shown", missing="7 of 200 rows")
    return (shown, *[small] * count)


def outcome_of(slices):
    return TrainOutcome(
        pipeline="flights",
        decision="held",
        version=4,
        run_id="run1",
        run_key="key1",
        metrics={"roc_auc": 0.71},
        gates=(
            GateResult(type="slices", metric="roc_auc", verdict="fail", reason="no", slices=slices),
            GateResult(type="signature", verdict="pass", reason="yes"),
        ),
        snapshot=SnapshotSummary(digest="5" * 64, rows=54_000, unlabelled=12, quarantined=0),
        bundle=BundleSummary(digest="b" * 64, runtime="onnx"),
    )


@pytest.mark.parametrize(("small", "more"), [(1, False), (30, True)])
def test_a_terminal_shows_the_worst_slices(small, more):
    """Slices stand with gain and interval, or with what they lack; ten at most, and values are no markup."""
    stream = io.StringIO()
    show_outcome(outcome_of(slices_of(small)), Console(file=stream, width=200))
    text = stream.getvalue()
    assert f"c = {HOSTILE}" in text
    assert "-0.1000" in text
    assert "-0.1500 to -0.0500" in text
    assert "7 of 200 rows" in text
    assert ("more, in the report" in text) == more


def test_the_report_shows_slices_with_a_picture():
    """The page tells each slice with its interval and confidence, and escapes their values."""
    seen = SliceGains(
        metric="roc_auc", max_regression=0.03, min_rows=200, shown=1, total=2, slices=slices_of(1)
    )
    evaluation = Evaluation(
        rows=307, metrics={"roc_auc": MetricEstimate(value=0.7, low=0.6, high=0.8)}, slices=(seen,)
    )
    config = PipelineConfig.model_validate(
        {
            "name": "flights",
            "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "late"},
            "training": {"estimator": "sklearn.dummy.DummyClassifier"},
            "evaluation": {"task": "binary_classification"},
        }
    )
    page = run_report(config, outcome_of(slices_of(1)), evaluation, None, {})
    assert "<h2>Slices in roc_auc</h2>" in page
    assert "1 of 2 slices can be compared" in page
    assert "at 99.5 %" in page
    assert "7 of 200 rows" in page
    assert "<script>alert" not in page
    assert page.count("<circle") == 1


def test_a_terminal_takes_names_and_reasons_literally_and_names_no_champion_that_is_not():
    """Brackets are no markup, and where the first version is held nobody stays champion."""
    stream = io.StringIO()
    outcome = outcome_of(()).model_copy(
        update={
            "gates": (GateResult(type="signature", verdict="fail", reason="removed: a[red]"),),
            "quarantined": (Quarantined(type="expect_something", column="b[bold]", rows=3),),
        }
    )

    show_outcome(outcome, Console(file=stream, width=200))

    shown = stream.getvalue()
    assert all(words in shown for words in ("removed: a[red]", "b[bold]", "held; there is no champion yet"))
