"""How realised metrics are told, in a terminal and on a check's page."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from evertrain.cli.realised_view import realised_lines
from evertrain.config import PipelineConfig
from evertrain.drift_records import CheckedRows, DriftOutcome
from evertrain.durations import spell_seconds
from evertrain.realised_records import LabelLag, Realised, RealisedPart
from evertrain.records import MetricEstimate
from evertrain.reports.drift_report import render_drift

HOSTILE = "<script>alert('x')</script>"
NOW = datetime(2024, 3, 8, tzinfo=UTC)
CONFIG = PipelineConfig.model_validate(
    {
        "name": "flights",
        "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y"},
        "training": {"estimator": "a.B"},
        "evaluation": {"task": "binary_classification"},
        "drift": {"current": {"from": "predictions", "window": "7d"}},
    }
)


def part(name: str, rows: int = 400, labelled: int = 300, column: str | None = None) -> RealisedPart:
    return RealisedPart(
        name=name,
        column=column,
        rows=rows,
        labelled=labelled,
        coverage=labelled / rows,
        metrics={"roc_auc": MetricEstimate(value=0.7, low=0.65, high=0.75)} if labelled else {},
        missing=("log_loss needs probabilities",) if labelled else ("no label has arrived",),
        lag=LabelLag(median_seconds=5400, p90_seconds=180_000) if labelled else None,
    )


def realised(*versions: str, slices: int = 0) -> Realised:
    return Realised(
        since=datetime(2024, 3, 1, tzinfo=UTC),
        until=NOW,
        as_of=NOW,
        total=part("all"),
        versions=tuple(part(each) for each in versions),
        arms=(part("stable"),),
        slices=tuple(part(HOSTILE if n == 0 else f"v{n}", 10, 0, "carrier") for n in range(slices)),
        slices_total=slices,
    )


def page_of(found: Realised | None) -> str:
    outcome = DriftOutcome(
        pipeline="flights",
        decision="steady",
        why="nothing",
        champion=1,
        as_of=NOW,
        max_share=0.3,
        realised=found,
        rows=CheckedRows(reference=4000, current=900),
    )
    return render_drift(CONFIG, outcome, evidently=None)


def test_coverage_lag_and_metrics_are_said_in_the_terminal() -> None:
    """One version is all; of several each has its line."""
    assert realised_lines(realised("1")) == [
        "realised: 300 of 400 answers have a label (75%); roc_auc 0.7000 (0.6500 to 0.7500), "
        "log_loss needs probabilities",
        "  labels took 1.5h in the median, nine in ten at most 2.1d",
    ]
    assert [line.split(":")[0] for line in realised_lines(realised("1", "2"))[2:]] == [
        "  version 1",
        "  version 2",
    ]
    unlabelled = realised("1").model_copy(update={"total": part("all", 5, 0)})
    assert realised_lines(unlabelled) == ["realised: 0 of 5 answers have a label (0%); no label has arrived"]


def test_a_checks_page_tells_versions_arms_and_slices() -> None:
    """Each with coverage and interval; what callers sent stays text, and many slices are counted."""
    page = page_of(realised("1", "2", slices=70))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))

    assert "answered 2024-03-01 00:00 UTC to 2024-03-08 00:00 UTC" in text
    assert "Labels took 1.5h in the median, nine in ten at most 2.1d." in text
    assert "version 2 400 75.0% 0.7 (0.65 to 0.75) log_loss needs probabilities" in text
    assert "carrier = v1 10 0.0% no label has arrived" in text
    assert "… and 10 more slices." in text
    assert "the newest 7d of what the service answered" in text
    assert HOSTILE not in page
    assert "What came of the answers" not in page_of(None)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.0184, "0.018s"), (59.6, "60s"), (90, "1.5m"), (864_000, "10d")]
)
def test_a_span_is_said_in_its_largest_unit(seconds: float, text: str) -> None:
    """Two digits are enough to know how late labels are."""
    assert spell_seconds(seconds) == text
