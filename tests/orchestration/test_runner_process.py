"""``python -m flows.runner`` as ``up`` starts it: a real server, the real zygote, whole processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun

from evertrain.settings import read_settings
from flows.deployments import TAG, installation_tag

HERE = Path(__file__).parent
WAIT_SECONDS = 200.0


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation of its own on the session's server."""
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))


@contextmanager
def runner(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.runner", "--every", "0.3", *arguments],
            cwd=HERE.parents[1],
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdout=said,
            stderr=said,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def ask(client: SyncPrefectClient, flow: str, **parameters: Any) -> UUID:
    """Have the installation's deployment of a small flow run now."""
    flow_id = client.create_flow_from_name(flow)
    deployment = client.create_deployment(
        flow_id=flow_id,
        name=flow,
        entrypoint=f"runner_flows.{flow}",
        tags=[TAG, installation_tag(read_settings())],
    )
    return client.create_flow_run_from_deployment(deployment, parameters=parameters).id


def final(client: SyncPrefectClient, run_id: UUID) -> FlowRun | None:
    run = client.read_flow_run(run_id)
    return run if run.state is not None and run.state.is_final() else None


def descendants(process: subprocess.Popen[bytes], run_pid: int) -> list[psutil.Process]:
    return [*psutil.Process(process.pid).children(recursive=True), psutil.Process(run_pid)]


def test_ended_by_a_signal(training, installation, tmp_path):
    """SIGTERM ends the runner within three seconds and all it started; its run is told as Crashed."""
    log, word = tmp_path / "log", tmp_path / "word"
    with get_client(sync_client=True) as client, runner(log) as process:
        run = ask(client, "leave_word", file=str(word), seconds=600)
        started = json.loads(wait_for(lambda: word.exists() and word.read_text()))
        below = descendants(process, started["pid"])
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        # Three seconds by itself; beside other tests on two cores everything takes longer.
        assert time.monotonic() - began < 15
        assert psutil.wait_procs(below, 15)[1] == []
        assert client.read_flow_run(run).state_name == "Crashed"
    assert "Traceback" not in log.read_text()
    assert "leave_word/leave_word begins: " in log.read_text()


@pytest.mark.slow
@pytest.mark.fault
def test_killed(training, installation, tmp_path):
    """Kill -9 of the runner leaves no process; the next runner marks its run as Crashed."""
    log, word = tmp_path / "log", tmp_path / "word"
    with get_client(sync_client=True) as client:
        with runner(log) as process:
            run = ask(client, "leave_word", file=str(word), seconds=600)
            started = json.loads(wait_for(lambda: word.exists() and word.read_text()))
            below = descendants(process, started["pid"])
            process.kill()
            assert psutil.wait_procs(below, 30)[1] == []
        with runner(log):
            found = wait_for(lambda: final(client, run))
            assert found.state_name == "Crashed"


@pytest.mark.slow
def test_trains_warm(training, home, write_pipeline, tmp_path):
    """Training after training, each forked from the real zygote, ends as the same from the command line."""
    log = tmp_path / "log"
    write_pipeline(estimator="sklearn.ensemble.HistGradientBoostingClassifier")
    subprocess.run(
        [sys.executable, "-m", "evertrain.cli", "deploy", "loans.yaml", "--json"], check=True, timeout=200
    )
    with get_client(sync_client=True) as client, runner(log, "--limit", "2"):
        wait_for(lambda: "is warm" in log.read_text())
        deployment = client.read_deployment_by_name("training/loans").id
        for number in range(6):
            seed = {"overrides": [f"training.seed={number}"]}
            run = client.create_flow_run_from_deployment(deployment, parameters=seed)
            found = wait_for(lambda run=run: final(client, run.id))
            assert found.state_name == "Completed", found.state.message
        # The runner says so once the run's process is gone, too.
        wait_for(lambda: log.read_text().count("Completed after") == 6)
    told = log.read_text()
    assert told.count("(warm)") == 6
    assert "fresh" not in told
