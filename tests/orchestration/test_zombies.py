from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import AwaitingRetry, Cancelling, Completed, Paused, Pending, Running

from evertrain.claims import lease_key
from evertrain.liveness import ProcessIdentity, identify_process
from evertrain.release import decide_claimed, decide_taken_over, open_journal
from evertrain.settings import Settings, read_settings
from evertrain.storage import open_store
from flows.launch import TrainingFlow
from flows.owners import HOST, HOST_ID, PID, PIPELINE, STARTED, STORE, read_owner, store_tag
from flows.zombies import mark_crashed, mark_task_runs, mark_zombies

Make = Callable[..., FlowRun]
ELSEWHERE = ProcessIdentity("far", "far/boot/ns", 42, 1.0)
FRESH_SECONDS, OVER_SECONDS = 3600.0, 0.001
pytestmark = [pytest.mark.usefixtures("training"), pytest.mark.flow, pytest.mark.xdist_group("prefect")]


@flow(name="training")
def stand_in() -> None:
    """A flow of the name that is looked for; it is never run."""


@task(name="step")
def stand_in_task() -> None:
    """A step of such a flow; it is never run."""


@pytest.fixture
def settings(home: Path) -> Settings:
    return replace(read_settings(), home=home, store=str(home / "store"))


@pytest.fixture
def make(settings: Settings) -> Iterator[Make]:
    """Make a flow run on the server, in a state, labelled as run by a process; they go with the test."""
    made = []

    def make_run(state: State[Any], process: ProcessIdentity | None, **labels: str) -> FlowRun:
        with get_client(sync_client=True) as client:
            run = client.create_flow_run(stand_in, state=state)
            made.append(run.id)
            if process is not None:
                client.update_flow_run_labels(run.id, {**spell(process, settings), **labels})
            return client.read_flow_run(run.id)

    yield make_run
    with get_client(sync_client=True) as client:
        for run_id in made:
            client.delete_flow_run(run_id)


@pytest.fixture
def dead() -> ProcessIdentity:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify_process(process.pid)
    process.communicate()
    return identity


def spell(process: ProcessIdentity, settings: Settings) -> dict[str, Any]:
    return {
        HOST: process.host,
        HOST_ID: process.host_id,
        PID: process.pid,
        STARTED: process.started,
        STORE: store_tag(settings.store),
        PIPELINE: "loans",
    }


def mark(settings: Settings) -> int:
    async def sweep() -> int:
        async with get_client() as client:
            return await mark_zombies(client, settings)

    return asyncio.run(sweep())


def state_of(run: FlowRun) -> StateType:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
    assert state is not None
    return state.type


def give_task(run: FlowRun, name: str, state: State[Any]) -> None:
    with get_client(sync_client=True) as client:
        client.create_task_run(stand_in_task, run.id, dynamic_key=name, name=name, state=state)


def tasks_of(run: FlowRun) -> dict[str, StateType]:
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
    return {each.name: each.state.type for each in found if each.state}


def test_runs_of_a_dead_process_are_marked(make: Make, settings: Settings, dead: ProcessIdentity) -> None:
    """Running and Pending become Crashed, Cancelling becomes Cancelled; once, however often one looks."""
    running, pending, cancelling = (make(state(), dead) for state in (Running, Pending, Cancelling))

    assert mark(settings) == 3
    assert mark(settings) == 0

    assert [state_of(run) for run in (running, pending, cancelling)] == [
        StateType.CRASHED,
        StateType.CRASHED,
        StateType.CANCELLED,
    ]
    with get_client(sync_client=True) as client:
        told = client.read_flow_run(running.id).state
    assert told is not None
    assert told.message == f"Process {dead.pid} on {dead.host}, which ran it, ended without saying so."


def test_the_tasks_of_a_dead_process_are_marked(
    make: Make, settings: Settings, dead: ProcessIdentity
) -> None:
    """Of its tasks, Running and Pending become Crashed, Completed stays; a living run's tasks all stay."""
    crashed, living = make(Running(), dead), make(Running(), identify_process())
    for run in (crashed, living):
        give_task(run, "ingest", Completed())
        give_task(run, "train", Running())
        give_task(run, "evaluate", Pending())

    assert mark(settings) == 1

    assert tasks_of(crashed) == {
        "ingest": StateType.COMPLETED,
        "train": StateType.CRASHED,
        "evaluate": StateType.CRASHED,
    }
    assert tasks_of(living) == {
        "ingest": StateType.COMPLETED,
        "train": StateType.RUNNING,
        "evaluate": StateType.PENDING,
    }


def test_tasks_that_a_dead_run_left_are_marked_later(
    make: Make, settings: Settings, dead: ProcessIdentity
) -> None:
    """A task that showed up after its run had been marked is seen by the next who keeps house, once."""
    run = make(Running(), dead)
    mark(settings)
    give_task(run, "train", Running())

    async def sweep() -> int:
        async with get_client() as client:
            return await mark_task_runs(client)

    assert [asyncio.run(sweep()) for _ in range(2)] == [1, 0]
    assert tasks_of(run) == {"train": StateType.CRASHED}


def test_what_is_over_or_waits_is_left(make: Make, settings: Settings, dead: ProcessIdentity) -> None:
    """A dead process's run that completed, is paused or awaits its retry stays as it is."""
    states: tuple[State[Any], ...] = (Completed(), Paused(), AwaitingRetry())
    runs = [make(state, dead) for state in states]

    assert mark(settings) == 0
    assert [state_of(run) for run in runs] == [state.type for state in states]


def test_the_living_and_the_unknown_are_left(make: Make, settings: Settings) -> None:
    """A run of a process that lives, and one that doesn't say who runs it, stay Running."""
    runs = make(Running(), identify_process()), make(Running(), None)

    assert mark(settings) == 0
    assert [state_of(run) for run in runs] == [StateType.RUNNING] * 2


@pytest.mark.parametrize(
    ("lease_seconds", "labels", "marked"),
    [(OVER_SECONDS, {}, 1), (FRESH_SECONDS, {}, 0), (OVER_SECONDS, {STORE: "another"}, 0)],
    ids=["over", "fresh", "of another store"],
)
def test_elsewhere_the_lease_tells(
    lease_seconds: float, labels: dict[str, str], marked: int, make: Make, settings: Settings
) -> None:
    """On another host a run is dead once the lease of its claim, in this very store, is over."""
    store = open_store(settings.store)
    journal = open_journal(store, "loans", "ann")
    number = journal.append(decide_claimed("train", ELSEWHERE, lease_seconds))[0].number
    store.put(lease_key("loans", number), b"beat")
    run = make(Running(), ELSEWHERE, **labels)

    assert mark(settings) == marked
    assert state_of(run) == (StateType.CRASHED if marked else StateType.RUNNING)


def test_elsewhere_a_takeover_tells(make: Make, settings: Settings) -> None:
    """On another host a run is dead, too, once somebody has taken its claim over."""
    journal = open_journal(open_store(settings.store), "loans", "ann")
    journal.append(decide_claimed("train", ELSEWHERE, FRESH_SECONDS))
    held = journal.read()[1].claims["train"]
    run = make(Running(), ELSEWHERE)
    assert mark(settings) == 0

    journal.append(decide_taken_over(held, identify_process(), FRESH_SECONDS))

    assert mark(settings) == 1
    assert state_of(run) == StateType.CRASHED


def test_a_run_that_ended_meanwhile_stays_so(make: Make, settings: Settings, dead: ProcessIdentity) -> None:
    """A run that was read as Running and has completed since is not marked."""
    run = make(Running(), dead)

    async def mark_late() -> bool:
        async with get_client() as client:
            await client.set_flow_run_state(run.id, Completed())
            return await mark_crashed(client, run, "gone", settings)

    assert asyncio.run(mark_late()) is False
    assert state_of(run) == StateType.COMPLETED


def test_a_killed_train_is_crashed_after_the_next_command(
    training: TrainingFlow, settings: Settings, write_pipeline: Callable[..., Path]
) -> None:
    """``evertrain train``, killed by kill -9, is Running until the next train, which marks it at its end."""
    path = write_pipeline()
    environment = {**os.environ, "EVERTRAIN_FAILPOINT": "after-ingest"}
    command = [sys.executable, "-m", "evertrain.cli", "train", str(path)]
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=280, check=False)
    assert killed.returncode == -signal.SIGKILL
    with get_client(sync_client=True) as client:
        (run,) = (run for run in client.read_flow_runs() if run.parameters.get("config") == str(path))
    owner = read_owner(run)
    assert owner is not None
    assert (owner.pipeline, owner.store) == ("loans", store_tag(settings.store))
    assert state_of(run) == StateType.RUNNING

    training(str(path))

    assert state_of(run) == StateType.CRASHED
    assert set(tasks_of(run).values()) <= {StateType.COMPLETED, StateType.CRASHED}
    with get_client(sync_client=True) as client:
        states = [run.state for run in client.read_flow_runs() if run.parameters.get("config") == str(path)]
    assert sorted(state.type.value for state in states if state) == ["COMPLETED", "CRASHED"]
