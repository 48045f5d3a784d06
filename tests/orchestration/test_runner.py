"""Flow runs through the runner's own parts, in this process, against a real Prefect server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.runner._control_channel import ControlChannel
from prefect.states import Cancelling, Scheduled

from evertrain.settings import read_settings
from flows.runner import processes as runner_processes
from flows.runner.poller import Poller
from flows.runner.processes import RunProcesses, read_code_state
from flows.runner.run_states import RunStates

HERE = Path(__file__).parent
LIGHT = (str(HERE / "runner_zygote.py"),)
WAIT_SECONDS = 120.0


class Field:
    """A runner under test: its client, its parts, and a tag that only its deployments bear."""

    def __init__(self, client: PrefectClient, processes: RunProcesses, tag: str) -> None:
        self.client = client
        self.processes = processes
        self.tag = tag

    async def deploy(
        self, flow: str = "leave_word", *, schedule: IntervalSchedule | None = None, **parameters: Any
    ) -> uuid.UUID:
        flow_id = await self.client.create_flow_from_name(f"runner-test-{flow}")
        return await self.client.create_deployment(
            flow_id=flow_id,
            name=f"{self.tag}-{flow}",
            entrypoint=f"runner_flows.{flow}",
            tags=[self.tag],
            parameters=parameters,
            schedules=[DeploymentScheduleCreate(schedule=schedule)] if schedule else None,
        )

    async def ask(self, deployment: uuid.UUID, *, due: datetime | None = None, **parameters: Any) -> FlowRun:
        state = Scheduled(scheduled_time=due or datetime.now(UTC))
        return await self.client.create_flow_run_from_deployment(
            deployment, parameters=parameters, state=state
        )

    async def state(self, run: FlowRun) -> str:
        return (await self.client.read_flow_run(run.id)).state_name or ""

    async def finish(self, run: FlowRun) -> FlowRun:
        async def ended() -> FlowRun | None:
            now = await self.client.read_flow_run(run.id)
            return now if now.state is not None and now.state.is_final() else None

        return await eventually(ended)

    async def history(self, run: FlowRun) -> list[str]:
        return [state.name or "" for state in await self.client.read_flow_run_states(run.id)]

    async def warm(self) -> int:
        """Wait until the zygote is ready; gives its pid."""

        async def ready() -> int | None:
            zygote = self.processes.zygote
            return zygote.pid if zygote is not None and zygote.is_ready else None

        return await eventually(ready)


@pytest.fixture
def server(training: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prefect server, and processes that find the tests' flows; the checkout may change meanwhile."""
    monkeypatch.setattr(runner_processes, "read_code_state", lambda: 0)
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@asynccontextmanager
async def running(
    *, limit: int = 2, start_seconds: float = 60.0, words: tuple[str, ...] = LIGHT, **rest: float
) -> AsyncIterator[Field]:
    tag = f"test-{uuid.uuid4().hex[:8]}"
    stop = asyncio.Event()
    async with (
        get_client() as client,
        ControlChannel() as channel,
        RunProcesses(start_seconds=start_seconds, words=words) as processes,
    ):
        states = RunStates(client, read_settings(), [tag])
        poller = Poller(states, processes, channel, limit=limit, every_seconds=0.3, **rest)
        serving = asyncio.create_task(poller.serve(stop))
        try:
            yield Field(client, processes, tag)
        finally:
            stop.set()
            await serving


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("waited in vain")


async def read_word(file: Path) -> dict[str, int]:
    async def written() -> dict[str, int] | None:
        return json.loads(file.read_text()) if file.exists() else None

    return await eventually(written)


def test_forked(server, tmp_path):
    """A run that is due is forked from the zygote, and ends as Prefect's engine ends it."""

    async def body() -> None:
        async with running() as field:
            zygote = await field.warm()
            run = await field.ask(await field.deploy(), file=str(tmp_path / "word"))
            word = await read_word(tmp_path / "word")
            assert (await field.finish(run)).state_name == "Completed"
            assert word["parent"] == zygote
            assert await field.history(run) == ["Scheduled", "Pending", "Running", "Completed"]

    asyncio.run(body())


def test_log_names(server, tmp_path, caplog):
    """The log names a run by its deployment and, at its end, as it has named itself; never as Prefect did."""

    async def body() -> None:
        async with running() as field:
            run = await field.ask(await field.deploy(), file=str(tmp_path / "word"))
            name = f"runner-test-leave_word/{field.tag}-leave_word"

            async def told() -> list[str] | None:
                found = [each for each in caplog.messages if each.startswith(name)]
                return found if len(found) == 2 else None

            began, ended = await eventually(told)
            assert re.fullmatch(rf"{name} begins: due \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC", began)
            assert re.fullmatch(rf"{name}: Completed after \d+\.\d s \((warm|fresh)\): a word", ended)
            assert run.name not in caplog.text

    with caplog.at_level(logging.INFO, "evertrain.runner"):
        asyncio.run(body())


def test_each_seen_to_its_end(server, tmp_path, caplog):
    """Of runs at once, one that is killed is Crashed and says how; the other isn't touched by it."""

    async def body() -> None:
        async with running() as field:
            await field.warm()
            word = tmp_path / "word"
            spared = await field.ask(await field.deploy(), file=str(word), seconds=1)
            killed = await field.ask(await field.deploy("be_killed"))
            now = await field.finish(killed)
            assert now.state_name == "Crashed"
            assert "by signal 9 (is there enough memory?)" in now.state.message
            assert (await field.finish(spared)).state_name == "Completed"

    asyncio.run(body())


def test_silent_child(server, tmp_path, caplog):
    """A child that does nothing after the fork is ended; its run begins in a fresh process."""

    async def body() -> None:
        async with running(start_seconds=1.0, words=(*LIGHT, "silent")) as field:
            zygote = await field.warm()
            run = await field.ask(await field.deploy(), file=str(tmp_path / "word"))
            word = await read_word(tmp_path / "word")
            assert (await field.finish(run)).state_name == "Completed"
            assert word["parent"] == os.getpid()
            assert await field.warm() != zygote

    with caplog.at_level(logging.INFO, "evertrain.runner"):
        asyncio.run(body())
    assert [r.message for r in caplog.records if "its child did nothing for 1 s" in r.message]


def test_zygote_killed(server, tmp_path, caplog):
    """A run whose zygote is killed goes on to its end; the next is forked from a new one."""

    async def body() -> None:
        async with running() as field:
            zygote = await field.warm()
            deployment = await field.deploy()
            run = await field.ask(deployment, file=str(tmp_path / "one"), seconds=2)
            await read_word(tmp_path / "one")
            os.kill(zygote, signal.SIGKILL)
            assert (await field.finish(run)).state_name == "Completed"
            second = await field.warm()
            again = await field.ask(deployment, file=str(tmp_path / "two"))
            assert (await field.finish(again)).state_name == "Completed"
            assert (await read_word(tmp_path / "two"))["parent"] == second != zygote

    asyncio.run(body())


def test_code_changed(server, tmp_path, monkeypatch):
    """A zygote whose code was edited forks no more."""
    root = tmp_path / "code"
    (root / "flows").mkdir(parents=True)
    edited = root / "flows" / "training.py"
    edited.write_text("")
    monkeypatch.setattr(runner_processes, "read_code_state", lambda: read_code_state(root))

    async def body() -> None:
        async with running() as field:
            first = await field.warm()
            os.utime(edited, ns=(1, 1))
            run = await field.ask(await field.deploy(), file=str(tmp_path / "word"))
            word = await read_word(tmp_path / "word")
            assert word["parent"] != first
            assert (await field.finish(run)).state_name == "Completed"
            assert await field.warm() != first

    asyncio.run(body())


def test_cancelled(server, tmp_path):
    """A run that is cancelled in Prefect ends soon, as Cancelled and never as Crashed."""

    async def body() -> None:
        async with running() as field:
            await field.warm()
            run = await field.ask(await field.deploy(), file=str(tmp_path / "word"), seconds=600)
            word = await read_word(tmp_path / "word")
            # What a click on Prefect's page asks for.
            await field.client.set_flow_run_state(run.id, Cancelling())
            assert (await field.finish(run)).state_name == "Cancelled"
            assert "Crashed" not in await field.history(run)

            async def gone() -> bool | None:
                return None if psutil.pid_exists(word["pid"]) else True

            await eventually(gone)

    asyncio.run(body())


def test_overdue(server, tmp_path):
    """Of a schedule's overdue runs the newest runs; the others say that they were skipped, and for what."""

    async def body() -> None:
        async with running() as field:
            runs = await overdue(field, tmp_path)
            newest = runs.pop()
            assert (await field.finish(newest)).state_name == "Completed"
            for run in runs:
                now = await field.finish(run)
                assert now.state_name == "Skipped"
                assert now.state.message.startswith("skipped: overdue; the run that was due at ")

    asyncio.run(body())


async def overdue(field: Field, folder: Path) -> list[FlowRun]:
    """Have Prefect schedule the last five hours' runs at once; gives them by their time."""
    now = datetime.now(UTC)
    hourly = IntervalSchedule(interval=timedelta(hours=1), anchor_date=now - timedelta(minutes=30))
    deployment = await field.deploy(schedule=hourly, file=str(folder / "word"))
    begin, end = (now - timedelta(hours=5)).isoformat(), now.isoformat()
    await field.client.request(
        "POST",
        "/deployments/{id}/schedule",
        path_params={"id": deployment},
        json={"start_time": begin, "end_time": end},
    )
    made = await field.client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(expected_start_time=FlowRunFilterExpectedStartTime(before_=now)),
    )
    assert len(made) >= 3
    return sorted(made, key=lambda run: run.expected_start_time)


def test_limit_and_end(server, tmp_path):
    """No more runs than the limit begin; the runner's end ends them, and none is left Running."""

    async def body() -> None:
        async with running(limit=1) as field:
            await field.warm()
            deployment = await field.deploy()
            first = await field.ask(deployment, file=str(tmp_path / "one"), seconds=600)
            word = await read_word(tmp_path / "one")
            second = await field.ask(deployment, file=str(tmp_path / "two"))
            await asyncio.sleep(1.5)
            assert await field.state(second) == "Scheduled"
            left.append((first, word))
            began.append(time.monotonic())
        assert time.monotonic() - began[0] < 30
        async with get_client() as client:
            assert (await client.read_flow_run(first.id)).state_name == "Crashed"

    left: list[Any] = []
    began: list[float] = []
    asyncio.run(body())
    assert not psutil.pid_exists(left[0][1]["pid"])
