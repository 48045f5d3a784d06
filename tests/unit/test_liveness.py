from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evertrain.liveness import _boot_id, _pid_namespace, host_id, identify_process, is_running, started_at

NO_PROC = Path("/nowhere/proc")


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_a_running_process_is_seen_as_running(child) -> None:
    """This process and its child run, and aren't each other."""
    assert is_running(identify_process())
    assert is_running(identify_process(child.pid))
    assert identify_process(child.pid) != identify_process()


def test_a_zombie_counts_as_gone(child) -> None:
    """A killed process that nobody has waited for no longer runs."""
    identity = identify_process(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_running(identity) is False
    assert started_at(child.pid, NO_PROC) is None
    with pytest.raises(ProcessLookupError):
        identify_process(child.pid)


def test_an_ended_process_is_gone(child) -> None:
    """A process that was waited for no longer runs, by either way of looking."""
    identity = identify_process(child.pid)
    child.kill()
    child.wait()
    assert is_running(identity) is False
    assert started_at(child.pid, NO_PROC) is None


def test_a_pid_used_again_is_another_process() -> None:
    """The same pid with another start is not the process that was meant."""
    identity = identify_process()
    assert is_running(dataclasses.replace(identity, started=identity.started - 1)) is False


def test_nothing_is_said_of_other_hosts() -> None:
    """Where pids can't be compared, the answer is neither yes nor no."""
    assert is_running(dataclasses.replace(identify_process(), host_id="elsewhere")) is None


def test_hosts_without_proc_are_told_apart_too() -> None:
    """Without /proc psutil gives start and boot, and the pid namespace is left open."""
    assert started_at(os.getpid(), NO_PROC) == started_at(os.getpid(), NO_PROC)
    assert started_at(os.getpid(), NO_PROC) is not None
    assert _boot_id(NO_PROC).isdecimal()
    assert _pid_namespace(NO_PROC) == "-"
    assert len(host_id().split("/")) == 3
