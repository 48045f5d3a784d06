"""Tests of a child process that answers beside its parent: questions, faults, ends, and what it leaves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from evertrain.child_process import ChildProcess, Trade, serve
from evertrain.errors import ConfigError, EvertrainError, RegistryUnavailable, ServiceError, Transient
from evertrain.failpoints import VARIABLE

TRADE = Trade(module="no.such.module", runs="the Oracle", gives="omen", advice="Ask for less.")
DOUBLER = """
import os, sys, time
from evertrain.child_process import serve_parent
from evertrain.errors import RegistryUnavailable
from evertrain.failpoints import failpoint

def answer(asked):
    print("noise of a library")
    if asked == "fail":
        raise RegistryUnavailable("The Oracle sleeps. Wake it.", uri="delphi")
    if asked == "point":
        failpoint("here")
    if asked == "folder":
        return os.environ["TMPDIR"]
    return asked * 2

serve_parent(int(sys.argv[1]), lambda: time.sleep(0.2), answer)
"""
Start = Callable[..., ChildProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start children that are ended with the test."""
    children = []

    def begin(code: str = DOUBLER, timeout_seconds: float = 60.0, **options: Any) -> ChildProcess:
        children.append(
            ChildProcess(TRADE, timeout_seconds=timeout_seconds, words=("-P", "-c", code), **options)
        )
        return children[-1]

    yield begin
    for child in children:
        child.close()


def test_questions_are_answered_in_turn_and_awaited_in_any_order(start):
    """Several may be asked before the child is ready; what it prints beside its answers is none."""
    child = start()
    first, second, third = (child.ask(question) for question in (1, "ab", [None]))

    assert child.wait(second).value == "abab"
    assert child.wait(third).value == [None, None]
    assert child.wait(first).value == 2
    assert child.is_running


def test_what_is_raised_on_purpose_there_is_raised_here_and_the_child_lives_on(start):
    """The type, its mark, the message and the facts travel."""
    child = start()

    with pytest.raises(RegistryUnavailable, match="The Oracle sleeps") as raised:
        child.wait(child.ask("fail"))

    assert isinstance(raised.value, Transient)
    assert raised.value.attributes == {"uri": "delphi"}
    assert child.wait(child.ask(4)).value == 8


def test_a_question_longer_than_a_pipe_holds_keeps_nobody(start):
    """The child reads while it is still importing."""
    child = start()

    assert len(child.wait(child.ask("x" * 3_000_000)).value) == 6_000_000


def test_a_child_that_reads_nothing_is_ended_in_time(start):
    """A full pipe isn't waited for longer than an answer."""
    child = start("import time; time.sleep(60)", timeout_seconds=1.0)

    with pytest.raises(ServiceError, match="the Oracle gave no omen within 1 s"):
        child.ask("x" * 3_000_000)

    assert not child.is_running


def test_a_child_that_gives_no_answer_is_ended_in_time(start):
    """What it said last is told, and what may help."""
    code = "import sys, time; print('stuck', file=sys.stderr, flush=True); time.sleep(60)"
    child = start(code, timeout_seconds=1.0)

    with pytest.raises(ServiceError, match=r"within 1 s; .* Ask for less. Its last words: stuck"):
        child.wait(child.ask(1))


def test_a_child_that_failed_tells_its_last_words(start):
    """The exit code and the end of standard error; a question that nobody read is no trouble."""
    child = start("raise MemoryError('no room')")
    while child.is_running:
        time.sleep(0.01)

    with pytest.raises(ServiceError, match=r"with exit code 1 before it gave its omen.*MemoryError: no room"):
        child.wait(child.ask(1))


def test_a_child_that_was_killed_says_so(start):
    """A signal is named; where it may be the kernel's for want of memory, a hint stands there."""
    child = start("import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)")

    with pytest.raises(ServiceError, match=r"by signal 9 \(is there enough memory\?\)"):
        child.wait(child.ask(1))


def test_a_child_that_cannot_be_started_is_told(start, monkeypatch):
    """The system's own words, and what to do."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(ServiceError, match=r"Can't start the process that runs the Oracle: .*try again"):
        start()


def test_closing_ends_a_child_and_its_files_at_once(start, tmp_path, monkeypatch):
    """Neither process nor temporary folder is left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    child = start()
    process = psutil.Process(child.pid)
    assert Path(child.wait(child.ask("folder")).value).parent == tmp_path

    child.close()

    assert not process.is_running()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("is_killable", "dies"), [(True, True), (False, False)])
def test_a_failpoint_counts_in_a_killable_child_only(start, monkeypatch, is_killable, dies):
    """A kill test means the run: what works beside it dies at its points where that was agreed."""
    monkeypatch.setenv(VARIABLE, "here")
    child = start(is_killable=is_killable)
    asked = child.ask("point")

    if dies:
        with pytest.raises(ServiceError, match="by signal 9"):
            child.wait(asked)
    else:
        assert child.wait(asked).value == "pointpoint"


PARENT = f"""
import sys, time
from evertrain.child_process import ChildProcess, Trade
trade = Trade(module="", runs="", gives="", advice="")
child = ChildProcess(trade, timeout_seconds=60, words=("-c", {DOUBLER!r}))
child.wait(child.ask(1))
print(child.pid, flush=True)
time.sleep(60)
"""


def test_no_child_outlives_its_parent():
    """Killed with -9, the parent can end nothing; the child sees it and goes."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)

    gone, alive = psutil.wait_procs([child], timeout=30)

    assert (len(gone), alive) == (1, [])


def test_lines_are_answered_until_there_are_no_more():
    """One line of JSON each; an unknown type of error comes back as what all of ours are."""
    answers = io.StringIO()

    def answer(asked: Any) -> Any:
        if asked is None:
            raise ConfigError("No.", path="a.b")
        return asked

    serve(io.StringIO("[1]\nnull\n"), answers, lambda: None, answer)

    first, second = map(json.loads, answers.getvalue().splitlines())
    assert first["answer"] == [1]
    assert first["seconds"] >= 0
    assert second["error"] == {"type": "ConfigError", "message": "No.", "attributes": {"path": "a.b"}}
    assert issubclass(ConfigError, EvertrainError)
