"""Owns the runner's loop: begins what is due, ends what is cancelled, and goes on when the server is gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from prefect.client.schemas.objects import FlowRun

# Pinned like all of Prefect: how its engine is told that a terminate signal means "cancelled".
from prefect.runner._control_channel import ControlChannel

from flows.prefect_faults import advise_on_key, spell_fault
from flows.runner.due_runs import choose, spell_due
from flows.runner.processes import Ending, RunProcesses
from flows.runner.run_states import LOST, RunStates

HOUSE_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 10.0
CANCEL_SECONDS = 10.0
END_SECONDS = 2.0
LAST_WORD_SECONDS = 0.7
logger = logging.getLogger("evertrain.runner")
T = TypeVar("T")


class Poller:
    """Runs what is due, at most *limit* runs at once.

    Args:
        states: The server's side of the runs.
        processes: The runs' side on this machine.
        channel: Tells a run's engine why it is ended.
        limit: How many runs at once.
        every_seconds: How often the server is asked.
        cancel_seconds: How long a cancelled run may take to end.
        is_over: Whether a server that is out of reach can't come back.
    """

    def __init__(
        self,
        states: RunStates,
        processes: RunProcesses,
        channel: ControlChannel,
        *,
        limit: int,
        every_seconds: float,
        cancel_seconds: float = CANCEL_SECONDS,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._states = states
        self._processes = processes
        self._channel = channel
        self._limit = limit
        self._every_seconds = every_seconds
        self._cancel_seconds = cancel_seconds
        self._is_over = is_over
        self._busy: dict[UUID, asyncio.Task[None]] = {}
        self._cancelled: dict[UUID, asyncio.Task[None]] = {}
        self._names: dict[UUID, str] = {}
        self._lost_seconds = 0.0

    async def serve(self, stop: asyncio.Event) -> None:
        """Run what is due until *stop*, or the server is gone for good; then end all within three seconds."""
        house = asyncio.create_task(self._keep_house(), name="house")
        try:
            while not stop.is_set():
                wait = await self._try(self.poll)
                if wait is None and self._is_over():
                    return
                await _sleep_until(stop, self._lost_seconds if wait is None else wait)
        finally:
            house.cancel()
            await self._end_all()

    async def poll(self) -> float:
        """Look once; returns in how many seconds to look again."""
        await self._processes.check()
        now = datetime.now(UTC)
        scheduled = await self._states.read_scheduled(now + timedelta(seconds=self._every_seconds))
        choice = choose(scheduled, self._busy, self._limit - len(self._busy), now)
        for run, newer in choice.skip:
            await self._states.skip(run, newer)
        if choice.skip:
            name = await self._states.tell_name(choice.skip[0][1])
            logger.info("%s: %d overdue runs skipped, the newest does their work", name, len(choice.skip))
        for run in choice.begin:
            self._busy[run.id] = asyncio.create_task(self._see_through(run), name=f"see {run.id}")
        for run_id in await self._states.read_cancelling(self._busy.keys() - self._cancelled.keys()):
            self._cancelled[run_id] = asyncio.create_task(self._cancel(run_id), name=f"cancel {run_id}")
        if choice.next_due is None:
            return self._every_seconds
        return min(self._every_seconds, (choice.next_due - now).total_seconds())

    async def _see_through(self, run: FlowRun) -> None:
        naming: asyncio.Task[str] | None = None
        try:
            if not await self._take(run):
                return
            port, token = self._channel.register(run.id)
            told = {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
            began = time.monotonic()
            # What Prefect has called it so far says nothing; it begins before the server has said more.
            naming = asyncio.create_task(self._name(run), name=f"name {run.id}")
            ending = await self._run_process(run, {**told, "PREFECT__FLOW_RUN_ID": str(run.id)})
            name = await naming
            cancelled = self._cancelled.get(run.id)
            if cancelled is not None:
                await cancelled
            fault = None if ending.status == 0 else f"Its process ended {ending.text}."
            state, called = await self._insist(
                lambda: self._states.conclude(run, fault, cancelled=cancelled is not None)
            )
            how = "warm" if ending.warm else "fresh"
            logger.info("%s: %s after %.1f s (%s): %s", name, state, time.monotonic() - began, how, called)
        except Exception as cause:
            logger.error("%s was lost sight of: %r", self._spell(run.id), cause)
        finally:
            if naming is not None:
                naming.cancel()
            self._names.pop(run.id, None)
            self._channel.unregister(run.id)
            self._cancelled.pop(run.id, None)
            self._busy.pop(run.id, None)

    async def _name(self, run: FlowRun) -> str:
        name = self._names[run.id] = await self._insist(lambda: self._states.tell_name(run))
        logger.info("%s begins: due %s", name, spell_due(run))
        return name

    async def _take(self, run: FlowRun) -> bool:
        try:
            return await self._states.take(run)
        except LOST as fault:
            self._lose(fault)
            return await self._insist(lambda: self._states.is_taken(run))

    async def _run_process(self, run: FlowRun, environment: dict[str, str]) -> Ending:
        try:
            return await self._processes.run(run.id, environment)
        except OSError as cause:
            return Ending(1, f"before it began: no process can be started ({cause})", warm=False)

    async def _cancel(self, run_id: UUID) -> None:
        logger.info("%s is cancelled: its process is ended", self._spell(run_id))
        # Answered or not: where the run's engine doesn't know yet, its process ends all the same.
        await self._channel.signal(run_id, "cancel")
        await self._processes.end(run_id, self._cancel_seconds)

    def _spell(self, run_id: UUID) -> str:
        return f"{self._names.get(run_id, 'flow run')} ({run_id})"

    async def _keep_house(self) -> None:
        while True:
            marked = await self._try(self._states.keep_house)
            if marked:
                logger.info("%d flow runs whose process was gone are marked as crashed", marked)
            await asyncio.sleep(HOUSE_SECONDS)

    async def _end_all(self) -> None:
        runs = list(self._busy)
        if not runs:
            return
        logger.info("ends %d flow runs", len(runs))
        await asyncio.gather(*(self._processes.end(run_id, END_SECONDS) for run_id in runs))
        tasks = [task for run_id in runs if (task := self._busy.get(run_id)) is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=LAST_WORD_SECONDS)
            for task in late:
                task.cancel()

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Call once; None where the server is gone."""
        try:
            found = await call()
        except LOST as fault:
            self._lose(fault)
            return None
        self._find()
        return found

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until the server is there."""
        while True:
            try:
                return await call()
            except LOST as fault:
                self._lose(fault)
                await asyncio.sleep(self._lost_seconds)

    def _lose(self, fault: BaseException) -> None:
        if not self._lost_seconds:
            said = ". ".join(filter(None, (spell_fault(fault), advise_on_key(fault))))
            logger.warning("the Prefect server is out of reach; runs go on, new ones wait for it: %s", said)
        self._lost_seconds = min(max(1.0, self._lost_seconds * 1.5), LONGEST_WAIT_SECONDS)

    def _find(self) -> None:
        if self._lost_seconds:
            logger.info("the Prefect server is back")
        self._lost_seconds = 0.0


async def _sleep_until(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await stop.wait()
    except TimeoutError:
        return
