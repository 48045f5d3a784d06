"""Owns the task ``pipeline page``: a pipeline's whole life on a page in the store, and Prefect's look."""

from __future__ import annotations

import logging

from evertrain.outcomes import OUTCOME
from evertrain.pipelines import Pipeline
from evertrain.progress import step
from evertrain.records import TrainOutcome
from evertrain.reports.pipeline_reading import page_key, read_story
from evertrain.reports.pipeline_report import render_pipeline, summarise_pipeline
from evertrain.reports.pipeline_story import PipelineStory
from evertrain.runs import StepRecords
from tasks.artifacts import artifact_key, show
from tasks.steps import step_task

logger = logging.getLogger("evertrain.reports")


@step_task("pipeline page")
def pipeline_page_task(
    pipeline: Pipeline, seconds: dict[str, float], service: str | None, outcome: TrainOutcome | None = None
) -> None:
    """Write the pipeline's page anew, up to the journal's last entry.

    Nothing that goes wrong here fails the run, whose decision stands in the journal already: it is told as a
    warning, and the next train or check writes the page. Of two that write at once the later one's stays.

    Args:
        pipeline: Whose page it is.
        seconds: What each step took; filled.
        service: Where people open the inference service, for a link; None where that isn't known.
        outcome: What the run came to, where it isn't kept yet.
    """
    with step("page", seconds) as note:
        try:
            story, note.text = write_page(pipeline, outcome)
            show_story(pipeline, story, note.text, service)
        except Exception as cause:  # whatever it is, it is worth less than the run
            what = "Prefect's look at the page" if note.text else "The page"
            note.text = note.text or "not written"
            logger.warning(
                "%s of %s was not written: %s. The run goes on; the next train or check tries again.",
                what,
                pipeline.name,
                str(cause).rstrip(".") or type(cause).__name__,
            )


def write_page(pipeline: Pipeline, outcome: TrainOutcome | None) -> tuple[PipelineStory, str]:
    """Write the page; gives what it tells, and where it lies."""

    def recall(run_key: str) -> TrainOutcome | None:
        if outcome is not None and outcome.run_key == run_key:
            return outcome
        return StepRecords(pipeline.store, run_key).read(OUTCOME, TrainOutcome)

    story = read_story(pipeline.journal, recall)
    key = page_key(pipeline.name)
    pipeline.store.put(key, render_pipeline(pipeline.config, story).encode())
    return story, f"{pipeline.store.where}/{key}"


def show_story(pipeline: Pipeline, story: PipelineStory, where: str, service: str | None) -> None:
    """Show in Prefect, in some lines, what the page at *where* tells."""
    show(
        artifact_key(pipeline.name, "pipeline-page"),
        "markdown",
        summarise_pipeline(story, where, service),
        f"{pipeline.name}: champion, lineage, trends and decisions.",
    )
