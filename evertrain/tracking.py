"""Owns a training run's record in MLflow: parameters, metrics, tags, files and the data it came from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evertrain.failpoints import failpoint
from evertrain.mlflow_client import (
    RUN_KEY,
    artifact_location,
    is_remote,
    mlflow_client,
    tracking_uri,
    without_credentials,
)
from evertrain.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Param, Run

    from evertrain.records import Search, Trial
    from evertrain.run_facts import RunFacts

# What MLflow takes in one call, and of a parameter's value.
_PARAMS_PER_CALL = 100
_PARAM_LIMIT = 6000
_DIGEST_LIMIT = 36
_MOST_RUNS = 50_000
_TRIAL = "evertrain.trial"


def log_run(settings: Settings, facts: RunFacts) -> str:
    """Write a run down in MLflow, under the experiment named after the pipeline.

    A run with the same run key is reused: a finished one as it stands, one that a killed process left is
    completed. So the same facts may be logged any number of times.

    Args:
        settings: Say where MLflow is.
        facts: The run.

    Returns:
        The id of the one run that bears the run key.

    Raises:
        RegistryError: MLflow can't be reached, or refuses.
    """
    with mlflow_client(settings, f"log the run of pipeline {facts.config.name!r}") as client:
        experiment = _experiment(client, facts.config.name, artifact_location(settings))
        run = _find_run(client, experiment, facts.run_key) or _create_run(client, experiment, facts)
        run_id: str = run.info.run_id
        if run.info.status != "FINISHED":
            _log_values(client, run_id, facts)
            if facts.trained.search is not None:
                _log_trials(client, run, facts.trained.search)
            _log_files(client, run_id, facts)
            failpoint("tracking-before-finish")
            client.set_terminated(run_id, "FINISHED")
        return run_id


def log_page(settings: Settings, run_id: str, name: str, page: str) -> None:
    """Keep an HTML page among a run's artifacts, in place of an earlier one of that name.

    Raises:
        RegistryError: MLflow can't be reached, or refuses.
    """
    with mlflow_client(settings, f"keep {name} with run {run_id}") as client:
        client.log_text(run_id, page, name)


def run_url(settings: Settings, run_id: str) -> str | None:
    """The run's page in MLflow's own pages, where people open those; None where nothing serves them.

    Raises:
        RegistryError: MLflow can't be reached, or doesn't know the run.
    """
    root = _pages(settings)
    if root is None:
        return None
    with mlflow_client(settings, f"find run {run_id}") as client:
        experiment = client.get_run(run_id).info.experiment_id
    return f"{root}/#/experiments/{experiment}/runs/{run_id}"


def run_link(settings: Settings, run_id: str) -> str | None:
    """Give the address that leads to the run's page, without asking or importing MLflow; None as ``run_url``.

    MLflow's pages look the run's experiment up themselves, and go on to the address that ``run_url`` gives.
    """
    root = _pages(settings)
    return None if root is None else f"{root}/#/runs/{run_id}"


def _pages(settings: Settings) -> str | None:
    root = settings.mlflow_pages or (tracking_uri(settings) if is_remote(settings) else None)
    return None if root is None else without_credentials(root).rstrip("/")


def _experiment(client: MlflowClient, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as cause:
            if cause.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            # Another process was quicker.
            return _experiment(client, name, location)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _find_run(client: MlflowClient, experiment: str, run_key: str) -> Run | None:
    runs = client.search_runs([experiment], f"tags.`{RUN_KEY}` = '{run_key}'", max_results=100)
    # Of two that raced, all agree on the older.
    return min(runs, key=lambda run: (run.info.start_time, run.info.run_id), default=None)


def _create_run(client: MlflowClient, experiment: str, facts: RunFacts) -> Run:
    when = f"{facts.as_of:%Y-%m-%d %H:%M}" if facts.as_of else facts.run_key[:12]
    tags = {**facts.tags, "mlflow.source.name": "evertrain train", "mlflow.source.type": "JOB"}
    if facts.config.description:
        # What MLflow's page of a run shows under "Description".
        tags["mlflow.note.content"] = facts.config.description
    created = client.create_run(experiment, tags=tags, run_name=f"{facts.config.name} {when}")
    kept = _find_run(client, experiment, facts.run_key) or created
    if kept.info.run_id != created.info.run_id:
        client.delete_run(created.info.run_id)
    return kept


def _log_values(client: MlflowClient, run_id: str, facts: RunFacts) -> None:
    from mlflow.entities import RunTag

    params = _params(_parameters(facts))
    for start in range(0, len(params), _PARAMS_PER_CALL):
        client.log_batch(run_id, params=params[start : start + _PARAMS_PER_CALL])
    # MLflow never changes a parameter: what two attempts at one run key may differ in is a tag.
    tags = [RunTag(name, value) for name, value in facts.tags.items()]
    client.log_batch(run_id, metrics=_metrics(_numbers(facts)), tags=tags)
    client.log_inputs(run_id, datasets=[_dataset(facts)])


def _parameters(facts: RunFacts) -> dict[str, str]:
    config = facts.config
    chosen = {
        "task": config.evaluation.task,
        "estimator": facts.trained.estimator,
        "target": config.data.target,
        "features": str(len(facts.trained.signature.features)),
        "class_weight": config.training.class_weight,
        "calibration": config.training.calibration,
        "seed": str(config.training.seed),
        "strategy": config.promotion.strategy.type,
    }
    given = {f"params.{name}": _spelled(value) for name, value in facts.trained.parameters.items()}
    return {**chosen, **given}


def _params(values: Mapping[str, str]) -> list[Param]:
    from mlflow.entities import Param

    return [Param(name, value[:_PARAM_LIMIT]) for name, value in values.items()]


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _metrics(numbers: Iterable[tuple[str, float]], step: int = 0) -> list[Metric]:
    from mlflow.entities import Metric

    now_milliseconds = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(name, value, now_milliseconds, step) for name, value in numbers]


def _numbers(facts: RunFacts) -> Iterator[tuple[str, float]]:
    for name, estimate in facts.evaluation.metrics.items():
        yield from ((name, estimate.value), (f"{name}_low", estimate.low), (f"{name}_high", estimate.high))
    champion = facts.evaluation.champion
    for name, estimate in champion.metrics.items() if champion else ():
        yield f"champion_{name}", estimate.value
    yield "train_rows", facts.snapshot.train_rows
    yield "holdout_rows", facts.snapshot.holdout_rows
    yield "unlabelled_rows", facts.snapshot.unlabelled
    yield "fit_seconds", facts.trained.fit_seconds
    yield "bundle_bytes", facts.bundle.size_bytes
    search = facts.trained.search
    if search is not None:
        yield "search_trials", len(search.trials)
        yield f"search_{search.metric}", search.trials[search.best].value or 0.0


def _log_trials(client: MlflowClient, parent: Run, search: Search) -> None:
    """Write each trial down as a run nested in *parent*; what a killed process has done isn't done again."""
    experiment, run_id = parent.info.experiment_id, parent.info.run_id
    nested = client.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", max_results=_MOST_RUNS
    )
    begun = {run.data.tags[_TRIAL]: run for run in nested}
    for trial in search.trials:
        tags = {
            "mlflow.parentRunId": run_id,
            _TRIAL: str(trial.number),
            "evertrain.trial_state": trial.state,
            "evertrain.best_trial": str(trial.number == search.best).lower(),
        }
        run = begun.get(tags[_TRIAL]) or client.create_run(
            experiment, tags=tags, run_name=f"trial {trial.number}"
        )
        if run.info.status == "RUNNING":
            _log_trial(client, run.info.run_id, trial, search.metric)


def _log_trial(client: MlflowClient, run_id: str, trial: Trial, metric: str) -> None:
    mean = [] if trial.value is None else [(f"search_{metric}", trial.value)]
    numbers = _metrics([("seconds", trial.seconds), *mean])
    for fold, score in enumerate(trial.scores):
        numbers += _metrics([(f"fold_{metric}", score)], step=fold)
    given = {f"params.{name}": _spelled(value) for name, value in trial.params.items()}
    reason = {} if trial.reason is None else {"reason": trial.reason}
    client.log_batch(run_id, metrics=numbers, params=_params({**given, **reason}))
    client.set_terminated(run_id, "FAILED" if trial.state == "failed" else "FINISHED")


def _dataset(facts: RunFacts) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    snapshot = facts.snapshot
    source = facts.config.data.source.model_dump(mode="json")
    window = facts.config.data.window
    columns = [{"name": column.name, "type": column.type} for column in snapshot.columns]
    profile = {
        "snapshot": snapshot.digest,
        "num_rows": snapshot.rows,
        "train_rows": snapshot.train_rows,
        "holdout_rows": snapshot.holdout_rows,
        "quarantined": snapshot.quarantined,
        "query": facts.config.data.query,
        "window": window.model_dump(mode="json") if window else None,
        "as_of": snapshot.as_of.isoformat() if snapshot.as_of else None,
    }
    dataset = Dataset(
        name=facts.config.name,
        digest=snapshot.digest[:_DIGEST_LIMIT],
        source_type=_source_type(source),
        source=json.dumps(source),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _source_type(source: Mapping[str, Any]) -> str:
    if source["type"] != "files":
        return str(source["type"])
    return "s3" if source["uri"].startswith("s3://") else "local"


def _log_files(client: MlflowClient, run_id: str, facts: RunFacts) -> None:
    verdicts = [gate.model_dump(mode="json") for gate in facts.gates]
    pages = {
        "config.json": facts.config.model_dump_json(by_alias=True, indent=2),
        "validation.json": facts.validation.model_dump_json(indent=2),
        "evaluation.json": facts.evaluation.model_dump_json(indent=2, exclude={"curves"}),
        "gates.json": json.dumps(verdicts, indent=2),
        **facts.pages,
    }
    with tempfile.TemporaryDirectory(prefix="evertrain-") as folder:
        for name, text in pages.items():
            _write(Path(folder, name), text.encode())
        for name, data in facts.pictures.items():
            _write(Path(folder, name), data)
        client.log_artifacts(run_id, folder)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
