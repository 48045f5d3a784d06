"""Owns the talk with Prefect's server about deployments: what is there, what changes, what goes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, DeploymentFilterTags
from prefect.client.schemas.objects import (
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    DeploymentSchedule,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound

from evertrain.errors import ConfigError, ServiceError
from evertrain.settings import Settings
from flows.deployments import ENTRYPOINTS, SLUGS, TAG, WORKING_FOLDER, Planned, installation_tag

# A server on SQLite writes one at a time: more at once only wait, and on a busy machine run out of time.
AT_ONCE = 2
PAGE = 200
NAMES_AT_ONCE = 100

Change = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True)
class Found:
    """A deployment on the server, after this deploy."""

    id: UUID
    change: Change
    paused: bool


@dataclass(frozen=True)
class Registered:
    """What the server holds now, by full names, and what was taken from it."""

    found: Mapping[str, Found]
    removed: tuple[str, ...]


async def read_pool(name: str) -> tuple[str, bool]:
    """Read a work pool's type, and whether it names a container image of its own.

    Raises:
        ConfigError: There is no such pool; names those there are.
    """
    async with get_client() as client:
        try:
            pool = await client.read_work_pool(name)
        except ObjectNotFound:
            known = ", ".join(sorted(found.name for found in await client.read_work_pools())) or "none yet"
            raise ConfigError(
                f"There is no work pool {name!r} on the Prefect server; there are: {known}. "
                f"Make one: prefect work-pool create {name} --type process"
            ) from None
    variables = pool.base_job_template.get("variables", {}).get("properties", {})
    return pool.type, bool(variables.get("image", {}).get("default"))


async def register(
    planned: Sequence[Planned], folders: Sequence[Path], kept: frozenset[str], settings: Settings
) -> Registered:
    """Make the server's deployments those that are *planned*; one that is so already isn't touched.

    Args:
        planned: All of them, two or three a pipeline.
        folders: Folders that were deployed whole: of their pipelines what isn't planned goes.
        kept: Files there that stay as they are, as runs find them.
        settings: Whose deployments may be touched.

    Raises:
        ServiceError: A deployment of that name is another installation's; nothing was changed.
    """
    local = settings.prefect_api_url is None
    own_tags = [TAG] if local else [TAG, installation_tag(settings)]
    async with get_client() as client:
        flows = {name: await client.create_flow_from_name(name) for name in ENTRYPOINTS}
        names = {flow: name for name, flow in flows.items()}
        ours = await _read_tagged(client, own_tags)
        there = await _read_named(client, {plan.pipeline for plan in planned})
        by_name = {f"{names[item.flow_id]}/{item.name}": item for item in there if item.flow_id in names}
        if not local:
            _refuse_others(by_name, {plan.full_name for plan in planned}, own_tags)
        found = await _write_all(client, planned, by_name, flows)
        wanted = {item.id for item in found.values()}
        gone = [
            item
            for item in ours
            if item.id not in wanted and item.flow_id in names and _lies_in(item, folders, kept)
        ]
        for item in gone:
            await client.delete_deployment(item.id)
    return Registered(found, tuple(sorted(f"{names[item.flow_id]}/{item.name}" for item in gone)))


async def _read_tagged(client: PrefectClient, tags: list[str]) -> list[DeploymentResponse]:
    asked = DeploymentFilter(tags=DeploymentFilterTags(all_=tags))
    found: list[DeploymentResponse] = []
    while True:
        page = await client.read_deployments(deployment_filter=asked, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found


async def _read_named(client: PrefectClient, names: Iterable[str]) -> list[DeploymentResponse]:
    ordered = sorted(names)
    found: list[DeploymentResponse] = []
    for start in range(0, len(ordered), NAMES_AT_ONCE):
        asked = DeploymentFilter(name=DeploymentFilterName(any_=ordered[start : start + NAMES_AT_ONCE]))
        # A name may be any flow's: two of ours each, and whatever else the server is used for.
        count = 0
        while page := await client.read_deployments(deployment_filter=asked, limit=PAGE, offset=count):
            count += len(page)
            found += page
            if len(page) < PAGE:
                break
    return found


def _refuse_others(
    there: Mapping[str, DeploymentResponse], wanted: set[str], own_tags: Sequence[str]
) -> None:
    others = sorted(name for name in wanted & set(there) if not set(own_tags) <= set(there[name].tags))
    if others:
        raise ServiceError(
            f"The Prefect server has {', '.join(others)} already, of an installation with another store "
            f"(ours bear the tag {own_tags[-1]}). Nothing was deployed. Rename the pipeline, use another "
            f"server, or remove what is there: prefect deployment delete {others[0]}"
        )


async def _write_all(
    client: PrefectClient,
    planned: Sequence[Planned],
    there: Mapping[str, DeploymentResponse],
    flows: Mapping[str, UUID],
) -> dict[str, Found]:
    """Write all pipelines, a few at once.

    Raises:
        Exception: The first failure, when all others are done: what was written stands, and the next deploy
            finds it unchanged.
    """
    turns = asyncio.Semaphore(AT_ONCE)
    pipelines: dict[str, list[Planned]] = defaultdict(list)
    for plan in planned:
        pipelines[plan.pipeline].append(plan)

    async def write(plans: list[Planned]) -> dict[str, Found]:
        async with turns:
            return await _write_pipeline(client, plans, there, flows)

    answers = await asyncio.gather(*map(write, pipelines.values()), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return {name: item for answer in answers if isinstance(answer, dict) for name, item in answer.items()}


async def _write_pipeline(
    client: PrefectClient,
    plans: Sequence[Planned],
    there: Mapping[str, DeploymentResponse],
    flows: Mapping[str, UUID],
) -> dict[str, Found]:
    """Write one pipeline's deployments, all or none: a failure takes back those that it made."""
    done: dict[str, Found] = {}
    try:
        for plan in plans:
            done[plan.full_name] = await _write(client, plan, there.get(plan.full_name), flows[plan.flow])
    except Exception:
        for item in done.values():
            if item.change == "created":
                await client.delete_deployment(item.id)
        raise
    return done


async def _write(
    client: PrefectClient, plan: Planned, before: DeploymentResponse | None, flow_id: UUID
) -> Found:
    paused = before is not None and _is_paused(before, plan)
    if before is not None and _is_so_already(before, plan):
        return Found(before.id, "unchanged", paused)
    if before is not None and before.work_pool_name and not plan.pool:
        # Creating it anew over itself would leave it in the pool.
        await client.update_deployment(before.id, DeploymentUpdate(work_pool_name=None, tags=before.tags))
    made = await client.create_deployment(
        flow_id=flow_id,
        name=plan.pipeline,
        version=plan.version,
        schedules=_schedules(plan, before),
        concurrency_limit=1,
        concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        parameters=plan.parameters,
        description=plan.description,
        work_pool_name=plan.pool,
        tags=list(plan.tags),
        entrypoint=plan.entrypoint,
        parameter_openapi_schema=plan.form,
        pull_steps=list(plan.pull_steps),
        enforce_parameter_schema=True,
        job_variables=plan.variables,
    )
    return Found(made, "updated" if before else "created", paused)


def _schedules(plan: Planned, before: DeploymentResponse | None) -> list[DeploymentScheduleCreate]:
    """List the YAML's schedule, paused where it was paused by hand, and those that someone added by hand."""
    existing = before.schedules if before else []
    wanted = [
        DeploymentScheduleCreate(
            schedule=item.schedule, active=item.active, parameters=item.parameters, slug=item.slug
        )
        for item in existing
        if item.slug not in SLUGS
    ]
    if plan.cron is not None:
        own = DeploymentScheduleCreate(
            schedule=CronSchedule(cron=plan.cron, timezone=plan.timezone),
            active=all(item.active for item in existing if item.slug == plan.slug),
            parameters=plan.schedule_parameters,
            slug=plan.slug,
        )
        wanted.append(own)
    return wanted


def _is_paused(before: DeploymentResponse, plan: Planned) -> bool:
    own = [item for item in before.schedules if item.slug == plan.slug]
    return before.paused or any(not item.active for item in own)


def _is_so_already(before: DeploymentResponse, plan: Planned) -> bool:
    limit = before.global_concurrency_limit
    options = before.concurrency_options
    is_now = (
        (before.description, before.version, set(before.tags), before.entrypoint),
        (before.parameters, before.parameter_openapi_schema, before.enforce_parameter_schema),
        (before.pull_steps or [], before.work_pool_name, before.job_variables),
        (limit and limit.limit, options and options.collision_strategy),
        [_facts(item) for item in before.schedules if item.slug in SLUGS],
    )
    schedule = {"cron": plan.cron, "timezone": plan.timezone, "parameters": plan.schedule_parameters}
    wanted = (
        (plan.description, plan.version, set(plan.tags), plan.entrypoint),
        (plan.parameters, plan.form, True),
        (list(plan.pull_steps), plan.pool, plan.variables),
        (1, ConcurrencyLimitStrategy.ENQUEUE),
        [{"slug": plan.slug, **schedule}] if plan.cron is not None else [],
    )
    return is_now == wanted


def _facts(item: DeploymentSchedule) -> dict[str, Any]:
    schedule = item.schedule
    cron = schedule.cron if isinstance(schedule, CronSchedule) else None
    timezone = schedule.timezone if isinstance(schedule, CronSchedule) else None
    return {"slug": item.slug, "cron": cron, "timezone": timezone, "parameters": item.parameters}


def _lies_in(item: DeploymentResponse, folders: Sequence[Path], kept: frozenset[str]) -> bool:
    """Whether the deployment's YAML would lie in one of *folders*; not that it still does.

    Another checkout that shares the store deploys its own folder.
    """
    file = str(item.parameters.get("config", ""))
    steps = item.pull_steps or []
    starts = [Path(step[WORKING_FOLDER]["directory"]) for step in steps if WORKING_FOLDER in step]
    return file not in kept and ((starts or [Path.cwd()])[0] / file).parent in folders
