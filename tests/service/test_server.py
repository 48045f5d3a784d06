"""The server process: what it refuses to start with, what it says, how it ends."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from evertrain.errors import ConfigError, ServiceError
from evertrain.settings import read_settings
from serving.server import check_options, run

PROGRAM = """
import sys
from evertrain.settings import read_settings
from serving.server import run
run(sys.argv[3:], read_settings(), host=sys.argv[1], port=int(sys.argv[2]))
"""


@pytest.fixture
def settings(store):
    return read_settings({"EVERTRAIN_STORE": store.where})


@contextmanager
def started(store, *names, port=0):
    """A server in a process of its own, listening; gives the process, its address and its first line."""
    environment = {**os.environ, "EVERTRAIN_STORE": store.where, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", PROGRAM, "127.0.0.1", str(port), *names]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = ""
            while " on http" not in line:
                assert select.select([process.stderr], [], [], 30)[0], "no start line"
                line = process.stderr.readline()
                assert line, "it ended"
            yield process, re.search(r"http://\S+", line).group(), line
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_other_machines_are_not_served_without_keys(settings, host):
    """Any address but loopback is refused, and the way out is told."""
    with pytest.raises(ConfigError, match="--insecure"):
        check_options(host, settings, workers=1, insecure=False)
    check_options(host, settings, workers=1, insecure=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_served(settings, host):
    """Loopback needs neither keys nor --insecure."""
    check_options(host, settings, workers=1, insecure=False)


def test_keys_open_the_bind(store, tmp_path):
    """With a file of keys the service may listen anywhere; one that can't be used stops it before it does."""
    path = tmp_path / "k"
    settings = read_settings({"EVERTRAIN_STORE": store.where, "EVERTRAIN_API_KEYS_FILE": str(path)})

    check_options("0.0.0.0", settings, workers=1, insecure=False)
    with pytest.raises(ConfigError, match="EVERTRAIN_API_KEYS_FILE"):
        run([], settings, host="127.0.0.1", port=0)


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_a_worker_at_least(settings, workers):
    """--workers below 1 is refused."""
    with pytest.raises(ConfigError, match="--workers"):
        check_options("127.0.0.1", settings, workers=workers, insecure=False)


def test_a_name_without_a_journal_is_refused(store, settings, promote):
    """A pipeline that isn't in the store is refused with the names of those that are."""
    promote(store, "flights", 1, "a" * 64)
    promote(store, "weather", 1, "a" * 64)

    with pytest.raises(ConfigError, match=r"'trains'.*there are: flights, weather"):
        run(["flights", "trains"], settings, host="127.0.0.1", port=0)


def test_a_name_in_an_empty_store_is_refused(settings):
    """Where nothing was trained the message says so."""
    with pytest.raises(ConfigError, match="train one first"):
        run(["flights"], settings, host="127.0.0.1", port=0)


def test_a_port_in_use_is_refused(settings):
    """A taken port is named, with the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"port {port}.*--port"):
            run([], settings, host="127.0.0.1", port=port)


def test_an_unknown_host_is_refused(settings):
    """An address that isn't this machine's is a message, not a traceback."""
    with pytest.raises(ServiceError, match=r"--host"):
        run([], settings, host="203.0.113.1", port=0, insecure=True)


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_swaps_and_ends(store, constant_bundle, promote, row, number):
    """One start line, answers, a swap told in one line, and an end with exit code 0, soon and silent."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    second = constant_bundle(store, 0.75)

    with started(store, "flights") as (process, address, line):
        assert re.fullmatch(r"serving flights v1 \(onnx\) on http://127\.0\.0\.1:\d+ - Ctrl-C ends\n", line)
        with httpx.Client(base_url=address) as client:
            assert client.post("/invocations", json={"inputs": [row]}).json()["predictions"] == ["No"]
            promote(store, "flights", 2, second)
            assert "Now serving flights v2 (onnx), generation 2" in process.stderr.readline()
            assert client.post("/invocations", json={"inputs": [row]}).json()["predictions"] == ["Yes"]
            process.send_signal(number)
            began = time.monotonic()
            assert (process.wait(10), process.stderr.read()) == (0, "")

    assert time.monotonic() - began < 5


@pytest.mark.e2e
def test_a_request_under_way_is_answered_before_the_end(store, constant_bundle, promote, row):
    """A body that is still being sent when SIGTERM comes gets its answer; new connections are refused."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))

    body = json.dumps({"inputs": [row]}).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"expect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n"
    )

    with started(store) as (process, address, _):
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            process.send_signal(signal.SIGTERM)
            wait_until_refused(address)
            connection.sendall(body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert process.wait(10) == 0


def wait_until_refused(address):
    for _ in range(500):
        try:
            httpx.get(f"{address}/ping")
        except httpx.TransportError:
            return
        time.sleep(0.02)
    pytest.fail("new connections are still taken")


@pytest.mark.e2e
def test_before_the_first_champion_it_starts_and_picks_it_up(store, constant_bundle, promote):
    """An empty store: it starts, isn't ready, and is once a first champion is there."""
    with started(store) as (_, address, line):
        assert "serving no model yet" in line
        with httpx.Client(base_url=address) as client:
            assert client.get("/health/ready").status_code == 503
            promote(store, "flights", 1, constant_bundle(store, 0.25))
            began = time.monotonic()
            while client.get("/health/ready").status_code != 200:
                assert time.monotonic() - began < 10
                time.sleep(0.05)


@pytest.mark.fault
def test_a_killed_server_leaves_nothing(store, constant_bundle, promote):
    """Kill -9: no child lives on, nothing was written, and the next server takes the same port."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))

    def written():
        # What a process reported of itself is forgotten by whoever reads it.
        return [key for key in store.list("") if not key.startswith("replicas/")]

    before = written()

    with started(store, "flights") as (process, address, _):
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(10)
        _, alive = psutil.wait_procs(children, timeout=20)
    with started(store, "flights", port=int(address.rpartition(":")[2])) as (_, again, _):
        assert httpx.get(f"{again}/ping").status_code == 200

    assert ([], before, again) == (alive, written(), address)
