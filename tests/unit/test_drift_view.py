"""Tests of how a drift check looks in a terminal and in a CI system's summary."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from evertrain.cli.drift_view import show_check
from evertrain.drift_records import (
    CheckedRows,
    ColumnDrift,
    DriftOutcome,
    QualityFinding,
    RegretMeasured,
)
from evertrain.summaries.checks import markdown_check


def column(name: str, score: float | None, drifted: bool, reason: str | None = None) -> ColumnDrift:
    return ColumnDrift(
        name=name, method="wasserstein", score=score, threshold=0.1, drifted=drifted, reason=reason
    )


OUTCOME = DriftOutcome(
    pipeline="flights",
    decision="drifted",
    triggers=("data",),
    retrain="none",
    why="a retrain was not wanted",
    champion=1,
    as_of=datetime(2013, 6, 1, tzinfo=UTC),
    share=0.5,
    max_share=0.3,
    columns=(
        column("large", None, False, "too large"),
        column("still", 0.01, False),
        column("moved", 0.4, True),
        column("gone", None, True, "it isn't there"),
    ),
    rows=CheckedRows(reference=4000, current=900),
)


def test_columns_stand_by_how_far_they_moved_in_the_terminal() -> None:
    """One that vanished stands first with its reason; one that can't be told stands last."""
    console = Console(file=StringIO(), width=100)

    show_check(OUTCOME, console)

    text = console.file.getvalue()  # type: ignore[attr-defined]
    lines = [line.split()[0] for line in text.splitlines() if "wasserstein" in line]
    assert lines == ["gone", "moved", "still", "large"]
    assert "it isn't there" in text


def test_the_verdict_says_what_fired() -> None:
    """A probe's gain alone is drift with no column drifted: the first line says that it was that."""
    console = Console(file=StringIO(), width=100)
    regret = RegretMeasured(
        metric="roc_auc",
        champion=0.7,
        probe=0.75,
        gain=0.05,
        low=0.02,
        high=0.08,
        min_gain=0.01,
        rows=900,
        fired=True,
        level=1 - 0.05 / 105,
        looks=105,
        learnt_rows=4_000,
    )
    regretted = OUTCOME.model_copy(
        update={"triggers": ("regret",), "share": 0.0, "columns": OUTCOME.columns[1:2], "regret": regret}
    )

    show_check(regretted, console)

    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "DRIFTED (regret)  flights" in text
    assert "0% of the columns drifted, 30% may" in text
    told = "(+0.0200 to +0.0800) in roc_auc on 900 rows, at 0.99952: one of 105 looks a year: fired"
    assert told in " ".join(text.split())
    assert "(+0.0200 to +0.0800 at 0.99952, one of 105 looks a year)" in markdown_check(regretted)


def test_columns_stand_by_how_far_they_moved_in_the_summary() -> None:
    """The same order, and a mark at those that drifted."""
    lines = [line for line in markdown_check(OUTCOME).splitlines() if "wasserstein" in line]
    assert [line.split(" | ")[0] for line in lines] == ["| gone", "| moved", "| still", "| large"]
    assert ["❗" in line for line in lines] == [True, True, False, False]


ALERT = QualityFinding(
    column="carrier", kind="unseen", reference=0.0, current=0.06, rows=54, alert=True, examples=("ZZ",)
)
TOLD = QualityFinding(
    column="distance",
    kind="out_of_range",
    reference=0.0,
    current=0.001,
    rows=1,
    alert=False,
    examples=("9",),
)


def test_answers_and_alerts_stand_below_the_columns() -> None:
    """What the champion answers is told beside its threshold; of the data's quality what is an alert."""
    moved = ColumnDrift(
        name="probability of true", method="wasserstein", score=0.3, threshold=0.12, drifted=True
    )
    found = OUTCOME.model_copy(update={"predictions": moved, "quality": (ALERT, TOLD)})
    console = Console(file=StringIO(), width=120)

    show_check(found, console)

    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (shown, markdown_check(found)):
        assert "probability of true" in text
        assert "carrier: 6.00% of the values are a category never seen before (ZZ)" in text
        assert "distance" not in text
    assert "predictions: probability of true drifted, 0.3000 of 0.1200" in shown


def test_what_the_champion_cant_answer_is_said() -> None:
    """Its reason stands in its line; many alerts are counted, not listed."""
    untold = ColumnDrift(
        name="predicted y", method="wasserstein", score=None, threshold=0.1, drifted=False, reason="it fails"
    )
    found = OUTCOME.model_copy(update={"predictions": untold, "quality": (ALERT,) * 8})
    console = Console(file=StringIO(), width=120)

    show_check(found, console)

    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "predictions: it fails" in shown
    assert "quality: 3 further alerts in the report" in shown
    assert "predicted y: it fails" in markdown_check(found)
