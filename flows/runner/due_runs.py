"""Owns which of the flow runs that are due begin, and which are skipped because they are overdue."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prefect.client.schemas.objects import FlowRun


@dataclass(frozen=True)
class Choice:
    """What to do with the flow runs that are due.

    Attributes:
        begin: Those that begin now, the longest due first.
        skip: Those whose work a newer one does, each with that one.
        next_due: When the next one that isn't due yet is.
    """

    begin: tuple[FlowRun, ...] = ()
    skip: tuple[tuple[FlowRun, FlowRun], ...] = ()
    next_due: datetime | None = None


def choose(scheduled: Sequence[FlowRun], busy: Collection[UUID], room: int, now: datetime) -> Choice:
    """Choose among *scheduled*.

    Of several runs that one schedule made for one deployment with the same parameters, and that never began,
    only the newest due one begins: a machine that slept for a day needn't do a day's hourly checks. Runs that
    someone asked for by hand, or that wait for a retry, all begin.

    Args:
        scheduled: Runs in a scheduled state, some of which may not be due yet.
        busy: Ids of those that have been begun.
        room: How many may begin.
        now: In UTC.
    """
    waiting = [run for run in scheduled if run.id not in busy and not in_pool(run)]
    newest: dict[object, FlowRun] = {}
    # Also among those that were due and wait for a slot by now.
    planned = [run for run in waiting if planned_at(run) <= now or due_at(run) <= now]
    for run in sorted(planned, key=planned_at):
        newest[repeated_key(run)] = run
    kept = sorted(newest.values(), key=lambda run: (due_at(run), str(run.id)))
    skipped = [(run, newest[repeated_key(run)]) for run in planned if newest[repeated_key(run)] is not run]
    begin = [run for run in kept if due_at(run) <= now][: max(room, 0)]
    coming = [due_at(run) for run in waiting if due_at(run) > now]
    return Choice(tuple(begin), tuple(skipped), min(coming, default=None))


def repeated_key(run: FlowRun) -> object:
    """What is equal for runs that do each other's work; a run's own id where none else does."""
    if not run.auto_scheduled or run.run_count:
        return run.id
    return run.deployment_id, json.dumps(run.parameters, sort_keys=True, default=str)


def in_pool(run: FlowRun) -> bool:
    """Whether the run waits in a work pool, and so for that pool's workers."""
    return run.work_pool_id is not None or run.work_queue_id is not None


def due_at(run: FlowRun) -> datetime:
    """When the run may begin: later than planned where it waits for a slot or a retry."""
    found: datetime | None = run.next_scheduled_start_time
    return found if found is not None else planned_at(run)


def planned_at(run: FlowRun) -> datetime:
    """When the run was first to begin."""
    found: datetime | None = run.expected_start_time
    assert found is not None, "a scheduled run has a time"
    return found


def spell_due(run: FlowRun) -> str:
    """Spell when the run was first to begin, to the second."""
    return f"{planned_at(run):%Y-%m-%d %H:%M:%S} UTC"
