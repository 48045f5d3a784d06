from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from evertrain.claims import claim
from evertrain.errors import Conflict
from evertrain.liveness import ProcessIdentity
from evertrain.release import (
    ReleaseJournal,
    decide_alias_repaired,
    decide_registered,
    decide_taken_over,
    open_journal,
)
from evertrain.storage import open_store

ROOT = Path(__file__).parents[2]
PROCESSES = 8
ROUNDS = 4
APPENDS = 50
HEAD_START_SECONDS = 0.02
pytestmark = pytest.mark.fault

Runner = subprocess.Popen[str]


@contextmanager
def running(where: Path, processes: int = PROCESSES) -> Iterator[list[Runner]]:
    """Processes that do one thing for each line of input and answer with one; all end with the block."""
    command = [sys.executable, __file__, str(where)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        runners = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
                )
            )
            for _ in range(processes)
        ]
        assert ask(runners, "ready") == ["ready"] * processes
        yield runners
        for runner in runners:
            runner.stdin.close()


def ask(runners: list[Runner], line: str) -> list[str]:
    for runner in runners:
        print(line, file=runner.stdin, flush=True)
    return [runner.stdout.readline().strip() for runner in runners]


def test_of_eight_that_claim_at_once_one_wins(tmp_path: Path) -> None:
    """Each round has exactly one winner and seven Conflicts, and the journal tells of one claim a round."""
    with running(tmp_path) as runners:
        for turn in range(1, ROUNDS + 1):
            answers = ask(runners, f"claim {time.monotonic() + HEAD_START_SECONDS}")
            assert sorted(answers) == ["lost 11"] * (PROCESSES - 1) + [f"won {2 * turn - 1}"]
            ask(runners, "release")
        journal = open_journal(open_store(str(tmp_path)), "flights", "reader")
        assert [entry.kind for entry in journal.read()[0]] == ["claimed", "released"] * ROUNDS
        assert journal.verify().holds


def test_of_those_that_find_a_dead_owner_one_takes_over(tmp_path: Path) -> None:
    """A claim whose owner was killed is taken over by exactly one of all that see it at once."""
    with running(tmp_path, 4) as runners:
        dead, *others = runners
        assert ask([dead], "claim 0") == ["won 1"]
        dead.kill()
        dead.wait()
        answers = ask(others, f"claim {time.monotonic() + HEAD_START_SECONDS}")
        assert sorted(answers) == ["lost 11"] * 2 + ["won 2"]
        assert ask(others, "release")


def test_eight_writers_make_one_chain_without_gaps(tmp_path: Path) -> None:
    """Eight times fifty appends are four hundred entries, numbered without a gap, each there once."""
    with running(tmp_path) as runners:
        assert ask(runners, "append") == ["appended"] * PROCESSES
        journal = open_journal(open_store(str(tmp_path)), "flights", "reader")
        entries, _ = journal.read()
        assert [entry.number for entry in entries] == list(range(1, PROCESSES * APPENDS + 1))
        assert len({(entry.actor, entry.reason) for entry in entries}) == PROCESSES * APPENDS
        assert journal.verify().holds


def test_an_owner_that_was_stopped_and_taken_over_writes_nothing(tmp_path: Path) -> None:
    """Resumed after another took over, it gets a Conflict for what it writes and for its release."""
    with running(tmp_path, 1) as runners:
        runner = runners[0]
        assert ask([runner], "claim 0") == ["won 1"]
        journal = open_journal(open_store(str(tmp_path)), "flights", "far")
        os.kill(runner.pid, signal.SIGSTOP)
        far = ProcessIdentity("far", "far/boot/ns", 1, 1.0)
        journal.append(decide_taken_over(journal.read()[1].claims["train"], far, 15.0))
        os.kill(runner.pid, signal.SIGCONT)
        assert ask([runner], "register") == ["lost 11"]
        assert ask([runner], "release") == ["released"]
        entries, state = journal.read()
        assert [entry.kind for entry in entries] == ["claimed", "taken_over"]
        assert state.claims["train"].number == 2


class Actor:
    """What one of the eight processes does."""

    def __init__(self, where: str) -> None:
        self.store = open_store(where)
        self.name = str(os.getpid())
        self.journal: ReleaseJournal = open_journal(self.store, "flights", self.name)
        self.stack = ExitStack()
        self.number = 0

    def ready(self) -> str:
        return "ready"

    def claim(self, start_at: str) -> str:
        while time.monotonic() < float(start_at):
            pass
        try:
            held = self.stack.enter_context(claim(self.journal, self.store, "train"))
        except Conflict as conflict:
            return f"lost {conflict.exit_code}"
        self.number = held.number
        return f"won {held.number}"

    def release(self) -> str:
        self.stack.close()
        return "released"

    def register(self) -> str:
        facts = dict.fromkeys(("run_key", "run_id", "bundle", "snapshot", "config", "code"), "x")
        try:
            self.journal.append(decide_registered(version=1, **facts, fence=self.number))
        except Conflict as conflict:
            return f"lost {conflict.exit_code}"
        return "registered"

    def append(self) -> str:
        for number in range(APPENDS):
            repaired = decide_alias_repaired(alias="champion", found=None, repaired_to=1, reason=str(number))
            self.journal.append(repaired)
        return "appended"


def main(where: str) -> None:
    actor = Actor(where)
    for line in sys.stdin:
        verb, *words = line.split()
        sys.stdout.write(getattr(actor, verb)(*words) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
