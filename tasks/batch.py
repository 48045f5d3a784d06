"""Owns the task ``score``: rows of a file become a file of answers."""

from __future__ import annotations

from evertrain.batch import BatchReport, score_batch
from evertrain.bundles import load_bundle
from evertrain.pipelines import Pipeline, find_version
from evertrain.progress import step
from tasks.steps import step_task


@step_task("score")
def score_task(
    pipeline: Pipeline, version: str, source: str, target: str, *, query: bool, seconds: dict[str, float]
) -> BatchReport:
    """Score *source* into *target* with the version that is named."""
    with step("score", seconds) as note:
        chosen = find_version(pipeline, version)
        report = score_batch(
            pipeline.config,
            load_bundle(pipeline.store, chosen.bundle),
            chosen.version,
            source=source,
            target=target,
            home=pipeline.settings.home,
            query=query,
        )
        note.text = f"{report.rows:,} rows with version {report.version}: {report.output}"
    return report
