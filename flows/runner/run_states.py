"""Owns what the runner reads of flow runs from the Prefect server, and the states that it sets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import Cancelled, Pending
from prefect.utilities.engine import propose_state

from evertrain.liveness import identify_process
from evertrain.settings import Settings
from flows.owners import HOST_ID, PID, label_owner
from flows.runner.due_runs import spell_due
from flows.zombies import mark_crashed, mark_task_runs, mark_zombies

PAGE = 200
LOST = (HTTPError, OSError)
"""What a server that is gone, or refuses, raises."""


class Concluded(NamedTuple):
    """How a run ended, and what it is called by then: it names itself as it begins."""

    state: str
    name: str


class RunStates:
    """The flow runs of the deployments that bear *tags*, on one server.

    Every method raises ``LOST`` where the server can't be reached.
    """

    def __init__(self, client: PrefectClient, settings: Settings, tags: Sequence[str]) -> None:
        self._client = client
        self._settings = settings
        self._deployments = DeploymentFilter(tags=DeploymentFilterTags(all_=list(tags)))
        self._names: dict[UUID, str] = {}

    async def read_scheduled(self, before: datetime) -> list[FlowRun]:
        """Read the runs that are to begin before a time, the earliest first; the first 200."""
        return await self._client.read_flow_runs(
            deployment_filter=self._deployments,
            flow_run_filter=FlowRunFilter(
                state=_of_type(StateType.SCHEDULED),
                next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=before),
            ),
            sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC,
            limit=PAGE,
        )

    async def read_cancelling(self, among: Collection[UUID]) -> list[UUID]:
        """Read which of these runs someone wants to end."""
        if not among:
            return []
        found = await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=list(among)), state=_of_type(StateType.CANCELLING)
            )
        )
        return [run.id for run in found]

    async def take(self, run: FlowRun) -> bool:
        """Make a scheduled run Pending, bearing this process's name.

        Returns:
            Whether it may begin: of several runners, one is let; a run may have to wait for a slot.
        """
        labels = label_owner(self._settings.store, "")
        try:
            # Should this process be killed before the run's own says who it is, it is found by these.
            await self._client.update_flow_run_labels(run.id, labels)
            state: State[object] = await propose_state(self._client, Pending(), flow_run_id=run.id)
        except (Abort, ObjectNotFound):
            return False
        return bool(state.is_pending())

    async def is_taken(self, run: FlowRun) -> bool:
        """Whether *run* is Pending by this process: an answer to ``take`` that was lost."""
        now = await self._client.read_flow_run(run.id)
        process = identify_process()
        labelled = (now.labels.get(HOST_ID), now.labels.get(PID)) == (process.host_id, process.pid)
        return labelled and now.state_type == StateType.PENDING

    async def skip(self, run: FlowRun, newer: FlowRun) -> None:
        """Cancel a run that is overdue, because *newer* does its work."""
        message = f"skipped: overdue; the run that was due at {spell_due(newer)} does its work"
        try:
            await self._client.set_flow_run_state(run.id, Cancelled(name="Skipped", message=message))
        except ObjectNotFound:
            return

    async def conclude(self, run: FlowRun, fault: str | None, *, cancelled: bool) -> Concluded:
        """Give a run whose process has ended the state that it couldn't give itself.

        Args:
            run: The run.
            fault: How its process ended, where it ended by force or with an error.
            cancelled: Whether it was ended on demand.

        Returns:
            The name of the state that it is in now, and its own.
        """
        try:
            now = await self._client.read_flow_run(run.id)
            return Concluded(await self._conclude(now, fault, cancelled=cancelled), now.name)
        except ObjectNotFound:
            return Concluded("deleted", run.name)

    async def _conclude(self, run: FlowRun, fault: str | None, *, cancelled: bool) -> str:
        state = run.state
        if state is None:
            return "without a state"
        if state.is_cancelling() or (cancelled and (state.is_crashed() or not state.is_final())):
            await self._client.set_flow_run_state(
                run.id, Cancelled(message="Cancelled while it ran."), force=True
            )
            return "Cancelled"
        # Scheduled: its process ended while it waited for a retry, which goes on.
        done = state.is_final() or state.is_scheduled() or state.is_paused()
        if fault is not None and not done and await mark_crashed(self._client, run, fault, self._settings):
            return "Crashed"
        return state.name or state.type.value

    async def tell_name(self, run: FlowRun) -> str:
        """Name a run after its deployment, as in ``training/flights``."""
        if run.deployment_id is None:
            return run.name
        try:
            if run.deployment_id not in self._names:
                deployment = await self._client.read_deployment(run.deployment_id)
                flow = await self._client.read_flow(deployment.flow_id)
                self._names[run.deployment_id] = f"{flow.name}/{deployment.name}"
        except ObjectNotFound:
            return run.name
        return self._names[run.deployment_id]

    async def keep_house(self) -> int:
        """Mark runs whose process is gone, with their tasks, and show our deployments as ready.

        Returns:
            How many runs were marked.
        """
        marked = await mark_zombies(self._client, self._settings)
        # Also of runs that were marked as their process ended.
        await mark_task_runs(self._client)
        ids: list[UUID] = []
        while page := await self._client.read_deployments(
            deployment_filter=self._deployments, limit=PAGE, offset=len(ids)
        ):
            ids += [deployment.id for deployment in page]
        if ids:
            # Asked for nothing but its effect: Prefect's UI calls what no runner asks for "not ready".
            await self._client.get_scheduled_flow_runs_for_deployments(ids, limit=1)
        return marked


def _of_type(kind: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind]))
