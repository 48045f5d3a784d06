"""Owns measuring a scheduled run: from the moment it is due, through a runner that is warm, to Completed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measuring.processes import LIMIT_SECONDS, ROOT, SILENT, Command, CommandFailed, run

FLIGHTS = "configs/flights.yaml"
DEPLOYMENT = "training/flights"
AHEAD_SECONDS = 4.0
READY = "is warm"


def run_scheduled(python: Path, home: Path, server: str) -> float:
    """Deploy the flights, have one run of them be due soon, and measure from then on.

    Returns:
        Seconds from when it was due until Prefect calls it Completed.

    Raises:
        CommandFailed: The runner doesn't get warm, or the run didn't complete.
    """
    variables = {"EVERTRAIN_HOME": str(home), "PREFECT_API_URL": server}
    run(Command((str(python), "-m", "evertrain.cli", "deploy", FLIGHTS, "--json"), variables))
    with warm_runner(python, variables):
        return await_run(ask_for_run())


@contextmanager
def warm_runner(python: Path, variables: dict[str, str]) -> Iterator[None]:
    """Run ``python -m flows.runner``; the block begins when a run would be forked."""
    with tempfile.TemporaryFile("w+") as said:
        runner = subprocess.Popen(
            [str(python), "-m", "flows.runner"],
            cwd=ROOT,
            env={**os.environ, **SILENT, **variables},
            stdout=said,
            stderr=said,
        )
        try:
            deadline = time.monotonic() + LIMIT_SECONDS
            while READY not in tell(said):
                if runner.poll() is not None or time.monotonic() > deadline:
                    raise CommandFailed(f"the runner isn't warm: {tell(said)[-2000:]}")
                time.sleep(0.1)
            yield
        finally:
            runner.send_signal(signal.SIGTERM)
            runner.wait(60)


def tell(said: tempfile._TemporaryFileWrapper[str]) -> str:
    """Read what was said so far, wherever it is written on."""
    return os.pread(said.fileno(), 1 << 20, 0).decode()


def ask_for_run() -> tuple[str, datetime]:
    """Have Prefect schedule a run a few seconds ahead; gives its id, and when it is due."""
    from prefect.client.orchestration import get_client
    from prefect.states import Scheduled

    due = datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        made = client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"as_of": "2013-04-01", "trigger": "schedule"},
            state=Scheduled(scheduled_time=due),
        )
    return str(made.id), due


def await_run(asked: tuple[str, datetime]) -> float:
    """Wait until the run has ended; gives the seconds since it was due."""
    from uuid import UUID

    from prefect.client.orchestration import get_client

    name, due = asked
    deadline = time.monotonic() + LIMIT_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            # Seldom: who looks takes time from who is measured.
            time.sleep(0.5)
            found = client.read_flow_run(UUID(name))
            if found.state is not None and found.state.is_completed() and found.end_time is not None:
                return (found.end_time - due).total_seconds()
            if found.state is not None and found.state.is_final():
                raise CommandFailed(f"the scheduled run ended as {found.state.name}: {found.state.message}")
    raise CommandFailed(f"the scheduled run didn't end within {LIMIT_SECONDS} s")
