from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from evertrain.config import PipelineConfig
from evertrain.records import (
    BundleSummary,
    ChampionScore,
    Curve,
    Evaluation,
    ExpectationResult,
    GateResult,
    MetricEstimate,
    SnapshotSummary,
    TrainOutcome,
    ValidationReport,
)
from evertrain.reports import demo_report, run_report
from evertrain.reports.pages import render_page, spell_estimate

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
MONTHS = [
    {
        "month": "2013-04",
        "rows": 27_000,
        "late_share": 0.24,
        "version": 1,
        "champion_auc": 0.69,
        "first_auc": 0.69,
    }
    | {"decision": "steady", "drifted_share": None, "gain": None},
    {
        "month": "2013-06",
        "rows": 26_000,
        "late_share": 0.3,
        "version": 2,
        "champion_auc": 0.71,
        "first_auc": 0.66,
    }
    | {"decision": "v3 promoted", "drifted_share": 0.25, "gain": 0.0125},
]


class Reader(HTMLParser):
    """Collects a page's tags and addresses, and sees that every element is closed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.addresses = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def make_config(description="", **raw):
    return PipelineConfig.model_validate(
        {
            "name": "flights",
            "description": description,
            "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "late"},
            "training": {"estimator": "sklearn.dummy.DummyClassifier"},
            "evaluation": {"task": "binary_classification"},
            **raw,
        }
    )


def make_estimate(value):
    return MetricEstimate(value=value, low=value - 0.01, high=value + 0.01)


def make_evaluation(*, champion=("roc_auc", "log_loss"), missing=None, label="challenger"):
    metrics = {"roc_auc": make_estimate(0.71), "log_loss": make_estimate(0.5)}
    return Evaluation(
        rows=12_345,
        resamples=1000,
        metrics=metrics,
        champion=ChampionScore(version=3, metrics={name: metrics[name] for name in champion})
        if champion
        else None,
        champion_missing=missing,
        curves=(Curve(kind="roc", label=label, x=(0.0, 1.0), y=(0.0, 1.0)),),
    )


def make_outcome(decision="promoted", *, reason="all is well", gates=1):
    verdict = "fail" if decision == "held" else "pass"
    return TrainOutcome(
        pipeline="flights",
        decision=decision,
        reasons=(f"beats_champion: {reason}",) if decision == "held" else (),
        version=4,
        run_id="run1",
        run_key="key1",
        metrics={"roc_auc": 0.71},
        gates=(GateResult(type="beats_champion", metric="roc_auc", verdict=verdict, reason=reason),) * gates,
        snapshot=SnapshotSummary(digest="5" * 64, rows=54_000, unlabelled=12, quarantined=0),
        bundle=BundleSummary(digest="b" * 64, runtime="onnx"),
        seconds={"train": 1.25},
    )


def make_validation(count, *, column="distance"):
    results = tuple(
        ExpectationResult(type="expect_something", column=column, success=place > 0, unexpected_rows=place)
        for place in range(count)
    )
    return ValidationReport(success=False, rows=9, results=results)


def text_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]).split())


@pytest.mark.parametrize(
    ("decision", "headline"),
    [("promoted", "Promoted: this"), ("held", "Held: this"), ("rollout", "Rollout begun")],
)
def test_run_page_tells_the_decision_and_all_that_led_to_it(decision, headline):
    """The page holds decision, gates, metrics with intervals of both models, curve, data and provenance."""
    page = run_report(make_config("Late?"), make_outcome(decision), make_evaluation(), make_validation(2), {})
    text = text_of(page)
    for words in (
        headline,
        "Late?",
        "beats_champion roc_auc",
        "0.71 (0.7 to 0.72)",
        "champion (version 3)",
        "less is better",
        "12,345 held-out rows",
        "1,000 resamples",
        "challenger",
        "54,000",
        "5" * 64,
        "b" * 64,
        "key1",
        "run1",
        "train 1.2",
    ):
        assert words in text
    Reader(page)


@pytest.mark.parametrize(
    ("evaluation", "words"),
    [
        (make_evaluation(champion=()), "There was no champion"),
        (make_evaluation(champion=(), missing="its column 'a' is gone"), "its column &#39;a&#39; is gone."),
        (make_evaluation(champion=("roc_auc",)), "has no probabilities"),
    ],
)
def test_run_page_says_why_there_is_no_comparison(evaluation, words):
    """Where the champion, or one of its metrics, is missing the page says why."""
    assert words in text_of(run_report(make_config(), make_outcome(), evaluation, None, {}))


def test_run_page_names_what_looks_like_leakage():
    """Each suspicion of the training stands on the page, as text."""
    warnings = ("column 'a' alone tells", HOSTILE)
    page = run_report(make_config(), make_outcome(), make_evaluation(), None, {}, warnings)
    assert "! leakage? column &#39;a&#39; alone tells" in text_of(page)
    assert HOSTILE not in page


def test_run_page_without_gates_expectations_or_curve():
    """What a pipeline doesn't have is said or left out, and breaks nothing."""
    evaluation = make_evaluation().model_copy(update={"curves": ()})
    page = run_report(make_config(), make_outcome(gates=0), evaluation, None, {})
    assert "names no gates" in page
    assert "none are named" in page
    assert "<svg" not in page
    Reader(page)


def test_pages_are_self_contained_and_small():
    """A page loads nothing, stays under 300 KB with a thousand expectations, and lists failed ones first."""
    config = make_config(validation={"expectations": [{"type": "expect_something"}]})
    page = run_report(
        config, make_outcome("held", reason="x" * 9000), make_evaluation(), make_validation(1000), {}
    )
    assert len(page.encode()) < 300_000
    assert "… and 800 more." in page
    assert page.index("✗ not met") < page.index("✓ met")
    for each in (page, demo_report(MONTHS, "Months")):
        reader = Reader(each)
        assert reader.addresses == []
        assert not {"script", "link", "img", "iframe"} & set(reader.tags)
        assert not re.search(r"url\((?!#)", each)
        assert "@import" not in each


def test_nothing_from_outside_becomes_markup():
    """Names, reasons, labels and titles with markup in them stand on the page as text."""
    outcome = make_outcome("held", reason=HOSTILE)
    page = run_report(
        make_config(HOSTILE),
        outcome,
        make_evaluation(champion=(), missing=HOSTILE, label=HOSTILE[:30]),
        make_validation(1, column=HOSTILE),
        {HOSTILE: HOSTILE, "odd": "javascript:alert(1)"},
    )
    for each in (page, demo_report([{**MONTHS[1], "month": HOSTILE, "decision": HOSTILE}], HOSTILE)):
        reader = Reader(each)
        assert not {"script", "img"} & set(reader.tags)
        assert reader.addresses == []


def test_web_addresses_become_links_and_others_do_not():
    """Only web addresses can be followed; a command or a path is shown as code."""
    links = {"MLflow": "https://mlflow.example/run?a=1&b=2", "journal": "evertrain audit show flights"}
    page = run_report(make_config(), make_outcome(), make_evaluation(), None, links)
    assert Reader(page).addresses == ["https://mlflow.example/run?a=1&b=2"]
    assert "<code>evertrain audit show flights</code>" in page


def test_demo_page_shows_every_month():
    """The demo's page explains itself and shows months, figures, versions and decisions."""
    text = text_of(demo_report(MONTHS, "Four months"))
    for words in (
        "Four months",
        "27,000",
        "24.0%",
        "0.6900",
        "v2",
        "v3 promoted",
        "25%",
        "+0.0125",
        "the higher the AUC",
    ):
        assert words in text


def test_estimates_keep_five_digits():
    """A metric is spelled with its interval, small and large figures alike."""
    assert spell_estimate(MetricEstimate(value=1234.567, low=1e-6, high=2e6)) == "1234.6 (1e-06 to 2e+06)"


def test_template_that_lacks_a_value_fails():
    """A page with a hole in it is a fault, not an empty cell."""
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render_page("demo", title="x")
