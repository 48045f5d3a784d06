"""Owns the task ``validate``: Great Expectations' verdict on a snapshot, sought beside the other steps."""

from __future__ import annotations

from evertrain.progress import step
from evertrain.records import ValidationReport
from evertrain.validation import refusal
from evertrain.validation.validator import Validator
from tasks.artifacts import show_validation
from tasks.run import Run
from tasks.steps import step_task


def ask_for_verdict(run: Run, validator: Validator | None) -> None:
    """Have the snapshot judged in *validator* from now on, unless an earlier try of this run was told."""
    if validator is not None and run.recorded("validate", ValidationReport) is None:
        validator.submit(run.config.validation, run.ingested, run.pipeline.store)


@step_task("validate")
def validate_task(run: Run, validator: Validator | None) -> ValidationReport:
    """Await the verdict on the snapshot, or recall it.

    Args:
        run: The run.
        validator: Judges the snapshot; None where there is nothing to expect.

    Raises:
        DataRefused: An expectation failed, and its rows weren't set aside.
        ServiceError: The process that judges ended, or took too long.
    """
    with step("validate", run.seconds) as note:
        report = run.recorded("validate", ValidationReport)
        if report is None:
            report = _await_verdict(run, validator)
            run.records.write("validate", report)
        show_validation(run, report)
        if not report.success:
            raise refusal(report)
        note.text = _told(report)
    if validator is not None:
        run.seconds["validate"] = validator.seconds
    return report


def _await_verdict(run: Run, validator: Validator | None) -> ValidationReport:
    if validator is None:
        return ValidationReport(success=True, rows=run.ingested.snapshot.rows)
    if not validator.is_asked:
        validator.submit(run.config.validation, run.ingested, run.pipeline.store)
    return validator.wait()


def _told(report: ValidationReport) -> str:
    if not report.results:
        return "no expectations to meet"
    met = sum(result.success for result in report.results)
    apart = f", {report.quarantined:,} rows quarantined" if report.quarantined else ""
    return f"{met} of {len(report.results)} expectations met{apart}"
