from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from evertrain.config import PipelineConfig
from evertrain.drift_records import (
    CheckedRows,
    ColumnDrift,
    DriftOutcome,
    DriftShape,
    Failure,
    PerformanceMeasured,
    QualityFinding,
    RegretMeasured,
)
from evertrain.reports.drift_plots import shape_svg
from evertrain.reports.drift_report import render_drift

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
NUMBERS = DriftShape(edges=(0, 5, 10), reference=(0.75, 0.25), current=(0.5, 0.5))
CATEGORIES = DriftShape(labels=("a", HOSTILE), reference=(0.9, 0.1), current=(0.0, 1.0))
CONFIG = PipelineConfig.model_validate(
    {
        "name": "flights",
        "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y", "timestamp": "t"},
        "training": {"estimator": "a.B"},
        "evaluation": {"task": "regression"},
        "drift": {"current": {"window": "14d"}},
    }
)


class Reader(HTMLParser):
    """Collects a page's tags and addresses, and sees that every element is closed."""

    VOID = frozenset({"meta", "br", "path", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str | None] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag


def column(name: str, score: float | None, **facts: Any) -> ColumnDrift:
    facts = {"drifted": score is not None and score >= 0.1} | facts
    return ColumnDrift(name=name, method="wasserstein", score=score, threshold=0.1, **facts)


def outcome(*columns: ColumnDrift, **facts: Any) -> DriftOutcome:
    share = sum(each.drifted for each in columns) / len(columns) if columns else None
    standard: dict[str, Any] = {
        "pipeline": "flights",
        "decision": "drifted",
        "why": "24h must pass",
        "retrain": "cooldown",
        "champion": 3,
        "as_of": datetime(2013, 6, 1, tzinfo=UTC),
        "max_share": 0.3,
        "rows": CheckedRows(reference=4000, current=900),
    }
    return DriftOutcome(columns=columns, share=share, **(standard | facts))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_the_furthest_over_its_threshold_stands_first() -> None:
    """Columns are in the order of what moved most: vanished ones first, what can't be told last."""
    page = render_drift(
        CONFIG,
        outcome(
            column("still", 0.02),
            column("gone", None, reason="there is no value"),
            column("moved", 0.4, shape=NUMBERS, missing_current_share=0.125),
            column("further", 0.8, shape=CATEGORIES),
            column("vanished", None, drifted=True, reason="it isn't among the columns"),
        ),
        evidently=None,
    )
    text = text_of(page)
    places = [text.index(f" {name} ") for name in ("vanished", "further", "moved", "still", "gone")]
    assert places == sorted(places)
    assert text.count("✗ drifted") == 3
    assert text.count("– not told") == 1
    assert "0.0% → 12.5%" in text
    assert "there is no value" in text
    assert page.count("<svg") == 2


def test_the_page_says_what_was_decided_and_why() -> None:
    """Share, what the policy did, rows and windows stand there in words."""
    text = text_of(render_drift(CONFIG, outcome(column("a", 0.4), column("b", 0.0)), evidently=None))
    assert "Drifted: 1 of 2 columns moved." in text
    assert "50% of the columns drifted, more than the 30% that may" in text
    assert "No retrain, cooling down: 24h must pass" in text
    assert "4,000 rows: what the champion learnt from" in text
    assert "900 rows: the newest 14d; 500 are needed" in text
    assert "Champion version 3, rows up to 2013-06-01 00:00 UTC" in text
    assert "Evidently" not in text


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"decision": "too_little_data", "retrain": "none"}, "Too little data to tell."),
        ({"decision": "steady", "retrain": "none"}, "Steady: 0 of 0 columns moved."),
        ({"retrain": "failed", "failure": Failure(type="T", message="It broke.", exit=4)}, "It broke."),
        ({"notes": ("no labels yet",)}, "no labels yet"),
    ],
)
def test_every_outcome_has_its_words(facts: dict[str, Any], told: str) -> None:
    """A check without columns, a failed retrain and notes are told, too."""
    text = text_of(render_drift(CONFIG, outcome(**facts), evidently=None))
    assert told in text
    assert "No column was compared." in text


def test_a_retrain_and_the_newest_labels_are_told(trained: Any) -> None:
    """The version that a retrain made, performance and regret stand there with their numbers."""
    performance = PerformanceMeasured(
        metric="r2", value=0.61, holdout=0.66, drop=0.05, max_drop=0.03, rows=880, fired=True
    )
    regret = RegretMeasured(
        metric="r2",
        champion=0.6,
        probe=0.65,
        gain=0.05,
        low=-0.01,
        high=0.1,
        min_gain=0.01,
        rows=880,
        fired=False,
        level=0.9995,
        looks=104,
        learnt_rows=4_000,
        counted=True,
    )
    told = outcome(retrain="started", train=trained, performance=performance, regret=regret)
    rolling = CONFIG.model_copy(update={"drift": CONFIG.drift.model_copy(update={"reference": "rolling"})})
    text = text_of(render_drift(rolling, told, evidently="x-evidently.html"))
    assert "Retrained: 24h must pass" in text
    assert "Version 4 was held: too close" in text
    assert "r2 0.61 on 880 rows, 0.66 when it was held out: fell by more than 0.03" in text
    assert "gain +0.05 (-0.01 to +0.1), not surely above 0.01; it learnt from 4,000 rows" in text
    assert "counts; each of 104 that may count in a year is judged at 0.9995" in text
    assert "4,000 rows: the 14d before the current rows" in text


@pytest.fixture
def trained() -> Any:
    """A retrain that was held."""
    from evertrain.records import BundleSummary, SnapshotSummary, TrainOutcome

    return TrainOutcome(
        pipeline="flights",
        decision="held",
        reasons=("too close",),
        version=4,
        run_id="r",
        run_key="k",
        metrics={},
        snapshot=SnapshotSummary(digest="d", rows=1, unlabelled=0, quarantined=0),
        bundle=BundleSummary(digest="b", runtime="onnx"),
    )


def test_nothing_that_is_told_becomes_markup() -> None:
    """Names, categories and reasons are escaped; the only address is that of Evidently's page."""
    hostile = outcome(column(HOSTILE, 0.5, shape=CATEGORIES), why=HOSTILE, notes=(HOSTILE,))
    reader = Reader(render_drift(CONFIG, hostile, evidently="x-evidently.html"))
    assert "script" not in reader.tags
    assert "img" not in reader.tags
    assert reader.addresses == ["x-evidently.html"]


def test_a_page_stays_small() -> None:
    """Sixty drifted columns take under 300 KB, five thousand under 1 MB; what is left out is counted."""
    wide = DriftShape(edges=tuple(range(25)), reference=(1 / 24,) * 24, current=(1 / 24,) * 24)
    columns = [column(f"{'a long name ' * 8}{place}", 0.5, shape=wide) for place in range(5000)]
    assert len(render_drift(CONFIG, outcome(*columns[:60]), evidently=None)) < 300_000
    page = render_drift(CONFIG, outcome(*columns), evidently=None)
    assert len(page) < 1_000_000
    assert "and 4200 more" in page


def test_whole_numbers_are_labelled_in_their_middles() -> None:
    """A bin of one whole number is cut at halves, which nobody wants to read."""
    shape = DriftShape(edges=(-0.5, 0.5, 1.5), reference=(0.5, 0.5), current=(1.0, 0.0))
    assert re.findall(r">([^<>]+)</text>", shape_svg(shape, "x")) == ["0", "1"]
    assert re.findall(r">([^<>]+)</text>", shape_svg(NUMBERS, "x")) == ["0", "10"]


def test_a_long_category_is_cut_and_kept_in_its_title() -> None:
    """The picture's label has room for sixteen characters."""
    shape = DriftShape(labels=("x" * 40,), reference=(1.0,), current=(1.0,))
    svg = shape_svg(shape, "x")
    assert f"{'x' * 15}…" in svg
    assert f"<title>{'x' * 40}</title>" in svg


def finding(name: str, *, alert: bool) -> QualityFinding:
    return QualityFinding(
        column=name, kind="unseen", reference=0.0, current=0.5, rows=450, alert=alert, examples=(HOSTILE,)
    )


def test_answers_and_quality_have_their_own_places() -> None:
    """The champion's answers with a picture if they moved, alerts and what is only told; none is a script."""
    moved = column(HOSTILE, 0.4, shape=NUMBERS, p_value=1e-9)
    facts = {"quality": (finding("a", alert=True), finding(HOSTILE, alert=False)), "predictions": moved}

    page = render_drift(CONFIG, outcome(column("still", 0.02, p_value=0.3), **facts), evidently=None)

    text = text_of(page)
    Reader(page)
    assert "script" not in Reader(page).tags
    assert page.count("<svg") == 1
    assert "0.4 from what it answered on its held-out rows; 0.1 would be drift" in text
    assert "a: 50.00% of the values are a category never seen before" in text
    assert (text.count("✗ alert"), text.count("– told")) == (1, 1)
    assert " 0.3 " in text
    still = column("predicted y", 0.02, p_value=0.4)
    assert "✓ steady predicted y:" in text_of(
        render_drift(CONFIG, outcome(predictions=still), evidently=None)
    )
    untold = column("predicted y", None, reason="it fails")
    assert "predicted y: it fails" in text_of(
        render_drift(CONFIG, outcome(predictions=untold), evidently=None)
    )


def test_a_thousand_findings_leave_the_page_small() -> None:
    """The first hundred stand there, alerts before the others; the rest is counted."""
    many = tuple(finding(f"c{place}", alert=place < 5) for place in range(1000))
    page = render_drift(CONFIG, outcome(quality=many), evidently=None)
    assert "… and 900 more." in text_of(page)
    assert len(page) < 200_000
