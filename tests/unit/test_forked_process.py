"""Tests of a child that is forked off its parent: it has what that imported, and goes as others do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

# In an interpreter of its own: pytest's has threads, and a fork would keep what locks they hold.
PLAY = """
import json, os, sys, time
from pathlib import Path
from types import ModuleType
from evertrain.child_process import ChildProcess, Trade, serve_parent
from evertrain.errors import RegistryUnavailable, ServiceError
from evertrain.failpoints import failpoint

IMPORTED = ["before the fork"]

def answer(asked):
    print("noise of a library")
    if asked == "fail":
        raise RegistryUnavailable("The Oracle sleeps. Wake it.")
    if asked == "crash":
        os.write(2, b"no room\\n")
        os._exit(3)
    if asked == "point":
        failpoint("here")
    if asked == "folder":
        return os.environ["TMPDIR"]
    return [asked, IMPORTED, os.getppid()]

module = ModuleType("oracle")
module.work_for = lambda parent: serve_parent(parent, lambda: None, answer)
sys.modules["oracle"] = module
trade = Trade(module="oracle", runs="the Oracle", gives="omen", advice="Ask for less.")

def begin(**options):
    return ChildProcess(trade, timeout_seconds=60, is_forked=True, **options)

def told(child, question):
    try:
        return child.wait(child.ask(question)).value
    except (RegistryUnavailable, ServiceError) as error:
        return type(error).__name__ + ": " + error.message

"""
Play = Callable[..., Any]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run lines after PLAY; gives the JSON that they print. Temporary files go to ``tmp_path``."""

    def run(lines: str, **variables: str) -> Any:
        environment = {**os.environ, "TMPDIR": str(tmp_path), **variables}
        done = subprocess.run(
            [sys.executable, "-c", PLAY + lines], env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return run


def test_it_answers_with_what_its_parent_had(play: Play) -> None:
    """It needs no import: what the parent holds at the fork is there."""
    found = play("child = begin(); print(json.dumps([told(child, 7), os.getpid(), child.is_running]))")

    assert found[0] == [7, ["before the fork"], found[1]]
    assert found[2]


def test_two_work_at_once_and_closing_leaves_nothing(play: Play, tmp_path: Path) -> None:
    """Neither keeps the other's pipe open for ever; no process and no folder stays."""
    ended = play(
        """
first, second = begin(), begin()
folders = [told(child, "folder") for child in (first, second)]
first.close(); second.close()
print(json.dumps([folders, [child.is_running for child in (first, second)]]))
"""
    )

    assert len(set(ended[0])) == 2
    assert ended[1] == [False, False]
    assert list(tmp_path.iterdir()) == []


def test_its_faults_are_told_as_any_child_s(play: Play) -> None:
    """What is raised on purpose travels; an end is told by its exit code and last words."""
    raised, crashed = play("child = begin(); print(json.dumps([told(child, 'fail'), told(child, 'crash')]))")

    assert raised == "RegistryUnavailable: The Oracle sleeps. Wake it."
    assert crashed.startswith("ServiceError: The process that runs the Oracle ended with exit code 3")
    assert crashed.endswith("Its last words: no room")


@pytest.mark.parametrize(("is_killable", "expected"), [(True, "ServiceError"), (False, "point")])
def test_a_failpoint_counts_where_that_was_agreed(play: Play, is_killable: bool, expected: str) -> None:
    """A kill test means the run: what is forked beside it dies at its points where it is killable."""
    lines = f"child = begin(is_killable={is_killable}); print(json.dumps(told(child, 'point')))"

    found = play(lines, EVERTRAIN_FAILPOINT="here")

    assert expected in str(found)


def test_it_goes_with_its_parent(tmp_path: Path) -> None:
    """Killed with -9, the parent can end nothing; the child sees it, removes its folder and goes."""
    lines = "child = begin(); told(child, 1); print(child.pid, flush=True); os.read(0, 1)"
    with subprocess.Popen(
        [sys.executable, "-c", PLAY + lines],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)

    gone, alive = psutil.wait_procs([child], timeout=30)

    assert (len(gone), alive) == (1, [])
    assert list(tmp_path.iterdir()) == []
