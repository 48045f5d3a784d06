"""Owns the task ``validate``: Great Expectations' verdict on a snapshot."""

from __future__ import annotations

from evertrain.datasets import read_snapshot
from evertrain.progress import step
from evertrain.records import ValidationReport
from evertrain.validation import refusal, validate
from tasks.artifacts import show_validation
from tasks.run import Run
from tasks.steps import step_task


@step_task("validate")
def validate_task(run: Run) -> ValidationReport:
    """Hold the snapshot against its expectations.

    Raises:
        DataRefused: An expectation failed.
    """
    with step("validate", run.seconds) as note:
        report = run.recorded("validate", ValidationReport)
        if report is None:
            table = read_snapshot(run.pipeline.store, run.ingested.snapshot)
            report = validate(run.config.validation, table)
            run.records.write("validate", report)
        show_validation(run, report)
        if not report.success:
            raise refusal(report)
        met = len(report.results)
        note.text = f"{met} expectations met" if met else "no expectations to meet"
    return report
