"""Owns the task ``report``: the run's page, for the store and for MLflow."""

from __future__ import annotations

from evertrain.progress import step
from evertrain.records import Judgement, TrainedModel, TrainOutcome, ValidationReport
from evertrain.registrar import ReportFacts
from tasks.run import Run
from tasks.steps import step_task


def report_key(pipeline: str, version: int) -> str:
    """Name the page of a version in the store."""
    return f"reports/{pipeline}/{version}.html"


@step_task("report")
def report_task(run: Run, outcome: TrainOutcome, judgement: Judgement, validation: ValidationReport) -> None:
    """Write the page that tells the run: decision, gates, metrics, curve, provenance."""
    with step("report", run.seconds) as note:
        trained = run.recorded("train", TrainedModel)
        facts = ReportFacts(
            config=run.config,
            outcome=outcome,
            evaluation=judgement.evaluation,
            validation=validation,
            warnings=trained.warnings if trained else (),
        )
        page = run.registrar.draw_report(facts)
        key = report_key(outcome.pipeline, outcome.version)
        run.pipeline.store.put(key, page.encode())
        run.registrar.keep_page(run.pipeline.settings, outcome.run_id, "report.html", page)
        note.text = f"{run.pipeline.store.where}/{key}"
