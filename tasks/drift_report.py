"""Owns the task ``report``: a check's page for the store, its table for Prefect's UI."""

from __future__ import annotations

from evertrain.drift_records import ColumnDrift, DriftOutcome
from evertrain.progress import step
from evertrain.reports.drift_report import render_drift
from tasks.artifacts import artifact_key, show_table
from tasks.check import Check
from tasks.drift import Found, evidently_key
from tasks.steps import step_task


@step_task("report")
def drift_report_task(check: Check, found: Found, outcome: DriftOutcome) -> None:
    """Write the page that tells the check: decision, columns, new labels, and what was done."""
    if found.page is None:
        return
    with step("report", check.seconds) as note:
        evidently = evidently_key(found.page).rpartition("/")[2] if found.drawn else None
        page = render_drift(check.config, outcome, evidently=evidently)
        check.pipeline.store.put(found.page, page.encode())
        show_columns(check, outcome)
        note.text = outcome.report or ""


def show_columns(check: Check, outcome: DriftOutcome) -> None:
    """Show each column's score beside its threshold."""
    show_table(
        artifact_key(check.config.name, "drift"),
        [
            {
                "column": column.name,
                "method": column.method,
                "score": "" if column.score is None else f"{column.score:.4f}",
                "threshold": f"{column.threshold:g}",
                "verdict": spell_verdict(column),
            }
            for column in outcome.columns
        ],
        f"{outcome.decision}; retrain: {outcome.retrain}. {outcome.why}",
    )


def spell_verdict(column: ColumnDrift) -> str:
    """Spell whether the column drifted, or why that can't be told."""
    if not column.drifted:
        return column.reason or "steady"
    return f"drifted: {column.reason}" if column.reason else "drifted"
