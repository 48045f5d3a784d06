"""Owns the task ``train``: a snapshot to a fitted model, within the time it is given."""

from __future__ import annotations

from prefect.task_engine import TaskRunTimeoutError

from evertrain.durations import spell_duration
from evertrain.errors import TrainingError
from evertrain.progress import step
from evertrain.records import TrainedModel
from evertrain.training import train
from evertrain.training.search import describe_search
from tasks.run import Run
from tasks.steps import step_task


def train_in_time(run: Run) -> TrainedModel:
    """Run the task ``train`` for at most ``training.timeout``.

    Raises:
        TrainingError: The estimator couldn't be fitted, or not within that time.
    """
    limit = run.config.training.timeout
    try:
        return train_task.with_options(timeout_seconds=limit.total_seconds())(run)
    except TaskRunTimeoutError as late:
        raise TrainingError(
            f"{run.config.training.estimator} wasn't fitted within {spell_duration(limit)}; raise "
            "training.timeout, or learn from fewer rows.",
            path="training.timeout",
        ) from late


@step_task("train")
def train_task(run: Run) -> TrainedModel:
    """Fit the estimator, or recall what an earlier try of this run has fitted."""
    with step("train", run.seconds) as note:
        trained = run.recorded("train", TrainedModel)
        if trained is None:
            trained = train(run.config, run.ingested, run.pipeline.store, run.pipeline.settings, run.records)
            run.records.write("train", trained)
        found = "" if trained.search is None else f"; {describe_search(trained.search)}"
        estimator = trained.estimator.rpartition(".")[2]
        count = len(trained.signature.features)
        note.text = f"{estimator} on {count} feature{'s' * (count > 1)}{found}"
    return trained
