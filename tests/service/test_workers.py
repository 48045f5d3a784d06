"""Several processes on one port: they share the load, die apart, and end together."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

PROGRAM = """
import sys
from evertrain.settings import read_settings
from serving.server import run
run(["flights"], read_settings(), host="127.0.0.1", port=0, workers=int(sys.argv[1]))
"""
BOUND_SECONDS = 90


@contextmanager
def started(store, workers):
    """A service of several workers; gives the process, its address, and its first lines."""
    environment = {**os.environ, "EVERTRAIN_STORE": store.where, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", PROGRAM, str(workers)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            lines = [read_line(process)]
            while " on http" not in lines[-1]:
                lines.append(read_line(process))
            yield process, re.search(r"http://[^ ]+", lines[-1]).group(), lines
        finally:
            if process.poll() is None:
                process.kill()


def read_line(process):
    assert select.select([process.stderr], [], [], BOUND_SECONDS)[0], "no line"
    line = process.stderr.readline()
    assert line, "it ended"
    return line


def children_of(process):
    """The workers; what takes the log to the store is a child too."""
    found = set()
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):
            if not any("shipper" in word for word in child.cmdline()):
                found.add(child.pid)
    return found


def wait_until(holds):
    deadline = time.monotonic() + BOUND_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(address, row):
    """One request on a connection of its own; None where the connection breaks."""
    with suppress(httpx.TransportError):
        answer = httpx.post(f"{address}/invocations", json={"inputs": [row]}, timeout=20)
        assert answer.status_code == 200
        return int(answer.headers["x-evertrain-version"])
    return None


@pytest.mark.e2e
def test_a_killed_worker_is_replaced_and_the_others_answer(store, constant_bundle, promote, row):
    """Kill -9 of one of two: answers go on, another takes its place, with what the journal says by then."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    second = constant_bundle(store, 0.75)

    with started(store, 2) as (process, address, lines):
        assert lines[-1].endswith(" - Ctrl-C ends (2 workers)\n")
        assert sum("Now serving" in line for line in lines) == 1
        first = children_of(process)
        assert len(first) == 2
        promote(store, "flights", 2, second)
        os.kill(min(first), signal.SIGKILL)
        broken = [ask(address, row) for _ in range(20)].count(None)
        wait_until(lambda: len(children_of(process) - first) == 1)
        os.kill(max(first), signal.SIGKILL)
        # Only fresh ones are left: none of them may answer by the older version.
        wait_until(lambda: not children_of(process) & first)
        versions = [ask(address, row) for _ in range(20)]

        assert broken <= 1
        assert set(versions) <= {2, None}
        assert versions.count(None) <= 1
        process.terminate()
        process.wait(BOUND_SECONDS)
        assert process.stderr.read().count("A worker died (signal 9); another one takes its place.") == 2


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_workers_end_with_the_service(store, constant_bundle, promote, number):
    """SIGTERM and Ctrl-C end every process, with exit code 0 and nothing more to say."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))

    with started(store, 2) as (process, _, _):
        workers = children_of(process)
        process.send_signal(number)

        assert (process.wait(BOUND_SECONDS), process.stderr.read()) == (0, "")
        assert not any(psutil.pid_exists(worker) for worker in workers)


@pytest.mark.e2e
def test_workers_end_when_the_service_is_killed(store, constant_bundle, promote):
    """Kill -9 of the service leaves no process and no port behind."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))

    with started(store, 2) as (process, address, _):
        workers = children_of(process)
        process.kill()

        wait_until(lambda: not any(psutil.pid_exists(worker) for worker in workers))
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health/live", timeout=5)


@pytest.mark.e2e
def test_metrics_add_up_over_workers(store, constant_bundle, promote, row):
    """Whichever worker is asked, its metrics and its status page tell the requests of all of them."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))

    with started(store, 2) as (_, address, _):
        assert [ask(address, row) for _ in range(30)] == [1] * 30
        for _ in range(10):
            text = httpx.get(f"{address}/metrics", timeout=20).text
            counts = re.findall(r'^evertrain_requests_total\{.*code="200".*\} (\S+)$', text, re.MULTILINE)
            assert [float(count) for count in counts] == [30.0]
            page = httpx.get(address, timeout=20).text
            assert "30 requests so far" in page or "30 in all" in page
