"""Owns deploying: the YAMLs that are named, checked as one, become deployments of a Prefect server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.config import PipelineConfig
from evertrain.config.files import load_config
from evertrain.errors import ConfigError
from evertrain.frozen import Record
from evertrain.mlflow_client import without_credentials
from evertrain.pipelines import config_path
from evertrain.settings import Settings
from flows.deployments import (
    CONTAINERS,
    ENTRYPOINTS,
    TAG,
    Json,
    Place,
    Planned,
    installation_tag,
    name_file,
    plan_deployments,
    plan_form,
    worker_environment,
)
from flows.local_server import prefect_api
from flows.prefect_faults import prefect_faults_told

if TYPE_CHECKING:
    from flows.registering import Registered

__all__ = ["TAG", "Deployed", "DeployedFlow", "Refused", "deploy_pipelines", "installation_tag"]

DEFAULT = ("configs",)


class DeployedFlow(Record):
    """One flow of one pipeline as it is registered now.

    Attributes:
        change: What this deploy did to it.
        schedule: Its cron; None: it runs only when asked.
        delay_seconds: How long after its moment a scheduled run begins.
        next_run: When it is due next; None: without a schedule, or paused.
        paused: Whether it, or its schedule, was paused by hand; deploying leaves that as it is.
        url: Its page, with the form to start a run.
    """

    pipeline: str
    flow: str
    change: str
    schedule: str | None
    timezone: str
    delay_seconds: int
    next_run: datetime | None
    paused: bool
    url: str


class Refused(Record):
    """A YAML that was left out, and why."""

    file: str
    message: str


class Deployed(Record):
    """What a deploy did.

    Attributes:
        flows: Two or three a pipeline, in the order of their names.
        removed: Deployments whose YAML is gone from the folder, by their full names.
        refused: YAMLs that were left out; empty unless that was asked for.
        warnings: What to beware of.
        ui: The address of Prefect's pages.
        pool: The work pool that runs them; None: the runner of ``evertrain up``.
        local: Whether they live in this home's own server.
    """

    flows: tuple[DeployedFlow, ...]
    removed: tuple[str, ...]
    refused: tuple[Refused, ...]
    warnings: tuple[str, ...]
    ui: str
    pool: str | None
    local: bool


def deploy_pipelines(
    paths: Sequence[str],
    settings: Settings,
    *,
    pool: str | None = None,
    image: str | None = None,
    skip_wrong: bool = False,
) -> Deployed:
    """Register the pipelines at *paths* with Prefect: the user's own server, or the home's.

    Args:
        paths: YAMLs, pipelines' names, or folders of YAMLs; of a folder's pipelines those that are gone are
            un-deployed.
        settings: This installation.
        pool: The work pool whose workers run them; None: the runner of ``evertrain up``.
        image: The container image, for a pool that runs containers.
        skip_wrong: Whether to leave wrong YAMLs out rather than to refuse all.

    Raises:
        ConfigError: A YAML is wrong, two bear one name, or there is none; lists all faults of all files.
        ServiceError: The Prefect server can't be used, or a deployment there is another installation's.
    """
    configs, refused = read_pipelines(paths, settings)
    if refused and not skip_wrong:
        raise _as_one(refused)
    folders = [Path(path).absolute() for path in paths if Path(path).is_dir()]
    with prefect_api(settings) as server:
        forms = _read_forms()
        if server is not None:
            server.wait_until_ready()
        with prefect_faults_told(settings):
            place, warnings = _find_place(pool, image, settings)
            planned = [
                plan
                for path, config in configs.items()
                for plan in plan_deployments(config, name_file(path, Path.cwd()), place, settings, forms)
            ]
            from flows.registering import register

            # A YAML that is wrong for now isn't gone.
            kept = frozenset(name_file(Path(item.file), Path.cwd()) for item in refused)
            registered = asyncio.run(register(planned, folders, kept, settings))
        api = os.environ["PREFECT_API_URL"]
        ui = os.environ.get("PREFECT_UI_URL") or api.removesuffix("/").removesuffix("/api")
    now = datetime.now(UTC)
    return Deployed(
        flows=tuple(_tell(plan, registered, ui, now) for plan in sorted(planned, key=_by_name)),
        removed=registered.removed,
        refused=tuple(refused),
        warnings=warnings,
        ui=without_credentials(ui),
        pool=pool,
        local=settings.prefect_api_url is None,
    )


def read_pipelines(
    paths: Sequence[str], settings: Settings
) -> tuple[dict[Path, PipelineConfig], list[Refused]]:
    """Read every YAML at *paths*; gives the sound ones and what is wrong with the others.

    Raises:
        ConfigError: There is no such folder.
    """
    configs: dict[Path, PipelineConfig] = {}
    refused: list[Refused] = []
    names: dict[str, Path] = {}
    for path in dict.fromkeys(_list_files(paths)):
        try:
            config = load_config(path, settings)
        except ConfigError as error:
            refused.append(Refused(file=str(path), message=error.message))
            continue
        first = names.setdefault(config.name, path)
        if first == path:
            configs[path] = config
        else:
            message = f'{path}: 1 fault\n  name: "{config.name}"; expected another one: {first} bears it'
            refused.append(Refused(file=str(path), message=message))
    return configs, refused


def _list_files(paths: Sequence[str]) -> Iterator[Path]:
    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from sorted(file for file in path.glob("*.y*ml") if file.suffix in (".yaml", ".yml"))
        elif tuple(paths) == DEFAULT:
            raise ConfigError(
                f"There is no folder {text!r} in {Path.cwd()}; go where it is, or name the YAMLs: "
                "evertrain deploy path/to/pipeline.yaml"
            )
        else:
            yield config_path(text)


def _as_one(refused: Sequence[Refused]) -> ConfigError:
    lines = "\n".join(item.message for item in refused)
    return ConfigError(f"{lines}\nNothing was deployed.", files=[item.file for item in refused])


def _read_forms() -> Mapping[str, Json]:
    from prefect.utilities.callables import parameter_schema

    from flows.batch_scoring import batch_scoring_flow
    from flows.drift_check import drift_check_flow
    from flows.rollout import rollout_flow
    from flows.training import training_flow

    flows = (training_flow, drift_check_flow, batch_scoring_flow, rollout_flow)
    return {flow.name: plan_form(parameter_schema(flow).model_dump(exclude_unset=True)) for flow in flows}


def _find_place(pool: str | None, image: str | None, settings: Settings) -> tuple[Place, list[str]]:
    """Say where runs take place, and what to beware of there.

    Raises:
        ConfigError: There is no such pool, or it needs an image.
    """
    if pool is None:
        if image is not None:
            raise ConfigError("--image is what a work pool's containers run; name the pool too: --pool NAME")
        return Place(folder=str(Path.cwd())), []
    from flows.registering import read_pool

    kind, has_image = asyncio.run(read_pool(pool))
    contained = kind in CONTAINERS
    if contained and image is None and not has_image:
        raise ConfigError(
            f"The pool {pool!r} runs {kind} containers of Prefect's own image, which hasn't evertrain in it; "
            "name one that has: --image NAME (deployments/flows.Dockerfile makes it)"
        )
    variables: Json = {"env": worker_environment(settings, kind)}
    if contained and image is not None:
        variables["image"] = image
    lonely = contained and "://" not in settings.store
    warning = f"no container sees the store {settings.store}, a folder of this machine: set EVERTRAIN_STORE"
    folder = None if contained else str(Path.cwd())
    return Place(folder=folder, pool=pool, variables=variables), [warning] if lonely else []


def _tell(plan: Planned, registered: Registered, ui: str, now: datetime) -> DeployedFlow:
    from flows.schedules import next_moment

    found = registered.found[plan.full_name]
    waits = plan.cron is not None and not found.paused
    return DeployedFlow(
        pipeline=plan.pipeline,
        flow=plan.flow,
        change=found.change,
        schedule=plan.cron,
        timezone=plan.timezone,
        delay_seconds=plan.schedule_parameters.get("delay_seconds", 0) if plan.cron else 0,
        next_run=next_moment(plan.cron or "", plan.timezone, now) if waits else None,
        paused=found.paused,
        url=without_credentials(f"{ui}/deployments/deployment/{found.id}"),
    )


def _by_name(plan: Planned) -> tuple[str, int]:
    return plan.pipeline, list(ENTRYPOINTS).index(plan.flow)
