"""Owns model versions in MLflow's registry: one a run key, loadable by MLflow, and the aliases' mirror."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evertrain.errors import RegistryError
from evertrain.failpoints import failpoint
from evertrain.mlflow_client import RUN_KEY, is_remote, mlflow_client
from evertrain.mlflow_model import write_mlflow_model
from evertrain.records import ModelVersion
from evertrain.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion as RegisteredVersion

    from evertrain.run_facts import RunFacts

_log = logging.getLogger(__name__)
_EXISTS = frozenset({"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"})


Aliases = Mapping[str, int | None]


class Repair(NamedTuple):
    """An alias that didn't stand where the journal has it; None is no version."""

    alias: str
    found: int | None
    wanted: int | None


def register(settings: Settings, facts: RunFacts, run_id: str) -> ModelVersion:
    """Give the run its version of the registered model named after the pipeline.

    The version is looked for by the run key before one is created, and again after: of two that raced the
    lower number stays. So a run key has one version, whatever was killed in between.

    Args:
        settings: Say where MLflow is.
        facts: The run.
        run_id: What ``log_run`` gave for it.

    Returns:
        The one version that bears the run key.

    Raises:
        RegistryError: MLflow can't be reached, or refuses.
    """
    name = facts.config.name
    with mlflow_client(settings, f"register a version of model {name!r}") as client:
        version = _find_version(client, name, facts.run_key)
        if version is None:
            model = _log_model(client, facts, run_id)
            version = _create_version(client, facts, model, is_remote(settings))
        return ModelVersion(
            version=int(version.version),
            run_id=version.run_id or run_id,
            run_key=facts.run_key,
            bundle=version.tags.get("evertrain.bundle", facts.bundle.digest),
        )


def mirror_aliases(settings: Settings, name: str, wanted: Aliases) -> tuple[Repair, ...]:
    """Put the aliases where the journal has them.

    Args:
        settings: Say where MLflow is.
        name: The pipeline.
        wanted: The version that each alias shall name; None: none.

    Returns:
        What stood elsewhere and was moved.

    Raises:
        RegistryError: MLflow can't be reached, or lacks a version that the journal names.
    """
    with mlflow_client(settings, f"set the aliases of model {name!r}") as client:
        found = _find_aliases(client, name)
        repairs = tuple(
            Repair(alias, found.get(alias), version)
            for alias, version in wanted.items()
            if found.get(alias) != version
        )
        for repair in repairs:
            if repair.wanted is None:
                client.delete_registered_model_alias(name, repair.alias)
            else:
                client.set_registered_model_alias(name, repair.alias, str(repair.wanted))
        return repairs


def follow_with_aliases(settings: Settings, name: str, wanted: Aliases) -> None:
    """Move MLflow's aliases as ``mirror_aliases`` does; that MLflow is down is said: what was done stands."""
    try:
        mirror_aliases(settings, name, wanted)
    except RegistryError as cause:
        _log.warning("Done, but MLflow's aliases follow only with the next train: %s", cause)


def _find_aliases(client: MlflowClient, name: str) -> dict[str, int]:
    # A search, since to ask for a model that isn't there is an error.
    models = client.search_registered_models(f"name = '{name}'")
    return {alias: int(version) for model in models for alias, version in model.aliases.items()}


def _find_version(client: MlflowClient, name: str, run_key: str) -> RegisteredVersion | None:
    return min(_find_versions(client, name, run_key), key=lambda version: int(version.version), default=None)


def _find_versions(client: MlflowClient, name: str, run_key: str) -> list[RegisteredVersion]:
    return list(client.search_model_versions(f"name = '{name}' and tag.`{RUN_KEY}` = '{run_key}'"))


def _create_version(
    client: MlflowClient, facts: RunFacts, model: LoggedModel, remote: bool
) -> RegisteredVersion:
    name = facts.config.name
    _make_registered_model(client, name, facts.config.description)
    created = client.create_model_version(
        name,
        # Embedded, MLflow would look the model's id up in whatever MLflow the environment names.
        source=model.model_uri if remote else model.artifact_location,
        run_id=model.source_run_id,
        tags=facts.tags,
        model_id=model.model_id,
    )
    failpoint("registry-after-create-version")
    kept = _find_version(client, name, facts.run_key) or created
    if int(kept.version) != int(created.version):
        client.delete_model_version(name, str(created.version))
        if kept.source != created.source:
            client.delete_logged_model(model.model_id)
    return kept


def _make_registered_model(client: MlflowClient, name: str, description: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=description)
    except MlflowException as cause:
        if cause.error_code not in _EXISTS:
            raise


def _log_model(client: MlflowClient, facts: RunFacts, run_id: str) -> LoggedModel:
    """Upload the bundle as a model that MLflow itself can load; one begun for this run is completed."""
    from mlflow.entities import LoggedModelOutput

    experiment = client.get_run(run_id).info.experiment_id
    condition = f"tags.`{RUN_KEY}` = '{facts.run_key}' AND source_run_id = '{run_id}'"
    condition += f" AND tags.`evertrain.bundle` = '{facts.bundle.digest}'"
    found = client.search_logged_models([experiment], condition)
    # One that isn't finished is completed, not deleted: on a server it may be another process's.
    model = min(
        found, key=lambda model: model.creation_timestamp, default=None
    ) or client.create_logged_model(
        experiment, name=facts.config.name, source_run_id=run_id, tags=facts.tags, model_type="evertrain"
    )
    if str(model.status) == "READY":
        return model
    with tempfile.TemporaryDirectory(prefix="evertrain-") as folder:
        write_mlflow_model(Path(folder), facts, model.model_id)
        client.log_model_artifacts(model.model_id, folder)
    if model.model_id not in _outputs(client, run_id):
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    failpoint("registry-before-finalize")
    return client.finalize_logged_model(model.model_id, "READY")


def _outputs(client: MlflowClient, run_id: str) -> list[str]:
    outputs = client.get_run(run_id).outputs
    return [output.model_id for output in outputs.model_outputs] if outputs else []
