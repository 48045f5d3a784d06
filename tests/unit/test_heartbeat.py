from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from evertrain import heartbeat
from evertrain.errors import ServiceError, StorageError
from evertrain.heartbeat import beat_until_parent_ends, keep_beating
from evertrain.storage import LocalStore

ROOT = Path(__file__).parents[2]
KEY = "leases/flights/1"
HOLD = """
import os, sys, time
from evertrain.heartbeat import keep_beating
from evertrain.storage import attach_store
with keep_beating(attach_store(sys.argv[1]), "leases/flights/1", 0.05) as pid:
    forked = os.fork() if sys.argv[2] == "fork" else 0
    if forked or sys.argv[2] != "fork":
        print(pid, forked, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def beats(store: LocalStore) -> int:
    found = json.loads(store.get(KEY) or b"{}")
    return found.get("beat", -1)


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_the_lease_is_written_before_the_block_and_renewed_during_it(store: LocalStore) -> None:
    """The first beat is the caller's own; the others come from another process, which then ends."""
    with keep_beating(store, KEY, 0.05) as pid:
        first = json.loads(store.get(KEY) or b"")
        assert wait_until(lambda: beats(store) >= 2)
        assert first == {"beat": 0, "pid": os.getpid()}
        assert json.loads(store.get(KEY) or b"")["pid"] == pid
    assert not psutil.pid_exists(pid)


def test_work_that_never_lets_go_of_the_interpreter_does_not_starve_it(store: LocalStore) -> None:
    """While one long C call holds the interpreter's lock, the lease is renewed all the same."""
    with keep_beating(store, KEY, 0.02):
        assert wait_until(lambda: beats(store) >= 1)
        before = beats(store)
        assert re.match(r"(a+)+$", "a" * 24 + "b") is None
        assert beats(store) - before >= 2


@pytest.mark.parametrize("mode", ["plain", "fork"])
def test_it_ends_with_a_killed_parent(tmp_path: Path, mode: str) -> None:
    """A kill -9 of the parent ends it, even where a forked child still holds the parent's end of the pipe."""
    parent = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), mode],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    pid, forked = (int(word) for word in parent.stdout.readline().split())
    try:
        assert psutil.pid_exists(pid)
        parent.kill()
        parent.communicate() if mode == "plain" else parent.wait()
        assert wait_until(lambda: not psutil.pid_exists(pid))
    finally:
        if forked:
            os.kill(forked, signal.SIGKILL)
        parent.stdout.close()


def test_it_does_not_beat_for_a_parent_that_is_already_gone(store: LocalStore) -> None:
    """A process whose parent is another one than it was told never writes."""
    beat_until_parent_ends(store, KEY, 60, os.getppid() + 1, 0)
    assert store.get(KEY) is None


def test_a_beat_that_fails_is_followed_by_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that fails once costs one beat; the end of the pipe ends the beating."""
    reading, writing = os.pipe()

    class Shaky(LocalStore):
        def put(self, key: str, data: bytes) -> None:
            if b'"beat": 1' in data:
                raise StorageError("disk full")
            super().put(key, data)
            os.close(writing)

    beat_until_parent_ends(Shaky(tmp_path), KEY, 0.01, os.getppid(), reading)
    os.close(reading)
    assert "beat 1 of leases/flights/1 failed: disk full" in caplog.text
    assert beats(LocalStore(tmp_path)) == 2


def test_a_process_that_can_not_be_started_is_told(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an interpreter there is no heartbeat, and the error names the lease."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ServiceError, match="keeps leases/flights/1 alive"), keep_beating(store, KEY, 1):
        pytest.fail("the block must not run")


def test_one_that_does_not_end_by_itself_is_killed(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped heartbeat process doesn't keep its parent from ending."""
    monkeypatch.setattr(heartbeat, "_STOP_SECONDS", 0.05)
    with keep_beating(store, KEY, 60) as pid:
        os.kill(pid, signal.SIGSTOP)
    assert not psutil.pid_exists(pid)


def test_its_command_line_is_what_its_parent_gives(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, key, seconds and parent are read from the words of the command."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as line:
        monkeypatch.setattr(sys, "stdin", line)
        heartbeat.main([store.where, KEY, "60", str(os.getppid())])
    assert store.get(KEY) is None
