"""Owns flow runs whose process is gone: found by their labels, and told to Prefect as Crashed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from evertrain.claims import has_lapsed, was_taken_over
from evertrain.errors import EvertrainError
from evertrain.liveness import is_running
from evertrain.release import open_journal
from evertrain.settings import Settings, read_settings
from evertrain.storage import attach_store
from flows.owners import Owner, read_owner, store_tag
from flows.telling import tell_dead

OURS = ("training", "drift_check", "batch_scoring")
UNDER_WAY = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)
ENDED_BY_FORCE = (StateType.CRASHED, StateType.CANCELLED)
MOST_RUNS = 200
SEARCH_SECONDS = 15.0
logger = logging.getLogger("evertrain.runs")


async def mark_zombies(client: PrefectClient, settings: Settings) -> int:
    """Mark each run of our flows that is under way, and whose process is gone, as Crashed.

    Gone is seen at once on this host; elsewhere once the lease of the claim that the run holds is over. A run
    that is finished, paused or waits for a retry, and one that doesn't say who runs it, is left as it is.

    Returns:
        How many were marked.
    """
    marked = 0
    for run in await _runs_under_way(client):
        owner = read_owner(run)
        if owner is None or not await asyncio.to_thread(_is_gone, owner, settings):
            continue
        process = owner.process
        message = f"Process {process.pid} on {process.host}, which ran it, ended without saying so."
        marked += await mark_crashed(client, run, message, settings)
    if marked:
        await mark_task_runs(client)
    return marked


async def mark_task_runs(client: PrefectClient) -> int:
    """Mark each task run that is under way in a run of our flows that crashed or was cancelled, as Crashed.

    Not as the flow run is marked: what a process said last of its tasks reaches Prefect a moment later.

    Returns:
        How many were marked.
    """
    left = await client.read_task_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(OURS))),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(ENDED_BY_FORCE)))
        ),
        task_run_filter=TaskRunFilter(
            state=TaskRunFilterState(type=TaskRunFilterStateType(any_=list(UNDER_WAY)))
        ),
        limit=MOST_RUNS,
    )
    for run in left:
        with suppress(ObjectNotFound):
            await client.set_task_run_state(run.id, Crashed(message="Its flow run's process was gone."))
    return len(left)


async def mark_crashed(
    client: PrefectClient,
    flow_run: FlowRun,
    message: str,
    settings: Settings,
) -> bool:
    """Mark *flow_run*, whose process is known to be gone, as Crashed; as Cancelled where that was asked for.

    Args:
        client: Of the Prefect server that has the run.
        flow_run: The run; one that has ended meanwhile stays as it is.
        message: How it ended, for people.
        settings: Where this installation keeps things.

    Returns:
        Whether this call marked it: of several at once, one does.
    """
    # What the process wrote last may have come after *flow_run* was read.
    now = await client.read_flow_run(flow_run.id)
    if now.state is None or now.state.is_final():
        return False
    cancelling = now.state.type == StateType.CANCELLING
    state: State[None] = Cancelled(message=message) if cancelling else Crashed(message=message)
    answer = await client.set_flow_run_state(now.id, state)
    if answer.status != SetStateStatus.ACCEPT:
        return False
    if not cancelling:
        flow = await client.read_flow(now.flow_id)
        await asyncio.to_thread(tell_dead, flow.name, now, message, settings)
    return True


async def mark_others(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Prefect's hook at a run's end: mark what others left Running, so that no kill stays unseen for long."""
    if flow_run.parent_task_run_id is not None:
        return
    try:
        async with asyncio.timeout(SEARCH_SECONDS), get_client() as client:
            await mark_zombies(client, read_settings())
    except Exception as cause:
        logger.debug("Dead runs couldn't be looked for: %s", cause)


async def _runs_under_way(client: PrefectClient) -> list[FlowRun]:
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(OURS))),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(UNDER_WAY)))
        ),
        limit=MOST_RUNS,
    )


def _is_gone(owner: Owner, settings: Settings) -> bool:
    running = is_running(owner.process)
    if running is not None:
        return not running
    if owner.store != store_tag(settings.store):
        return False
    try:
        store = attach_store(settings.store)
        entries, state = open_journal(store, owner.pipeline, settings.actor).read()
        held = [claim for claim in state.claims.values() if claim.owner == owner.process]
        lapsed = any(has_lapsed(claim, store, owner.pipeline) for claim in held)
        return lapsed or was_taken_over(entries, owner.process)
    except EvertrainError as cause:
        logger.debug("Whether %s on %s lives can't be told: %s", owner.pipeline, owner.process.host, cause)
        return False
