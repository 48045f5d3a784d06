"""Owns the task ``train``: a snapshot to a fitted model."""

from __future__ import annotations

from evertrain.progress import step
from evertrain.records import TrainedModel
from evertrain.training import train
from tasks.run import Run
from tasks.steps import step_task


@step_task("train")
def train_task(run: Run) -> TrainedModel:
    """Fit the estimator, or recall what an earlier try of this run has fitted."""
    with step("train", run.seconds) as note:
        trained = run.recorded("train", TrainedModel)
        if trained is None:
            trained = train(run.config, run.ingested, run.pipeline.store, run.pipeline.settings)
            run.records.write("train", trained)
        estimator = trained.estimator.rpartition(".")[2]
        note.text = f"{estimator} on {len(trained.signature.features)} features"
    return trained
