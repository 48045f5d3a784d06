from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from evertrain.claims import Terms, claim
from evertrain.errors import Conflict
from evertrain.journal import ORIGIN
from evertrain.liveness import identify_process
from evertrain.release import (
    ReleaseJournal,
    decide_alias_repaired,
    decide_registered,
    open_journal,
)
from evertrain.storage import attach_store, open_store

ROOT = Path(__file__).parents[2]
PROCESSES = 8
ROUNDS = 4
APPENDS = 50
HEAD_START_SECONDS = 0.02
pytestmark = pytest.mark.fault

Runner = subprocess.Popen[str]


@contextmanager
def running(where: str, processes: int = PROCESSES) -> Iterator[list[Runner]]:
    """Processes that do one thing for each line of input and answer with one; all end with the block."""
    command = [sys.executable, __file__, where]
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


def test_of_eight_that_claim_at_once_one_wins(where: str) -> None:
    """Each round has exactly one winner and seven Conflicts, and the journal tells of one claim a round."""
    with running(where) as runners:
        for turn in range(1, ROUNDS + 1):
            answers = ask(runners, f"claim {time.monotonic() + HEAD_START_SECONDS}")
            assert sorted(answers) == ["lost 11"] * (PROCESSES - 1) + [f"won {2 * turn - 1}"]
            ask(runners, "release")
        journal = open_journal(attach_store(where), "flights", "reader")
        assert [entry.kind for entry in journal.read()[0]] == ["claimed", "released"] * ROUNDS
        assert journal.verify().holds


def test_of_those_that_find_a_dead_owner_one_takes_over(where: str) -> None:
    """A claim whose owner was killed is taken over by exactly one of all that see it at once."""
    with running(where, 4) as runners:
        dead, *others = runners
        assert ask([dead], "claim 0") == ["won 1"]
        dead.kill()
        dead.wait()
        answers = ask(others, f"claim {time.monotonic() + HEAD_START_SECONDS}")
        assert sorted(answers) == ["lost 11"] * 2 + ["won 2"]
        assert ask(others, "release")


def test_eight_writers_make_one_chain_without_gaps(tmp_path: Path) -> None:
    """Eight times fifty appends are four hundred entries, numbered without a gap, each there once."""
    where = str(tmp_path)
    with running(where) as runners:
        assert ask(runners, "append") == ["appended"] * PROCESSES
        journal = open_journal(attach_store(where), "flights", "reader")
        entries, _ = journal.read()
        assert [entry.number for entry in entries] == list(range(1, PROCESSES * APPENDS + 1))
        assert len({(entry.actor, entry.reason) for entry in entries}) == PROCESSES * APPENDS
        assert journal.verify().holds


def test_an_owner_elsewhere_that_was_stopped_is_taken_over_and_fenced_off(where: str) -> None:
    """Its whole host stands still past its lease; resumed, it writes nothing and gives nothing back."""
    with running(where, 1) as runners:
        runner = runners[0]
        assert ask([runner], "claim_elsewhere") == ["won 1"]
        journal = open_journal(attach_store(where), "flights", "me")
        signal_all(runner.pid, signal.SIGSTOP)
        with claim(journal, journal.store, "train", terms=Terms(look_seconds=0.1)) as held:
            assert (held.number, held.attempt) == (2, 2)
            signal_all(runner.pid, signal.SIGCONT)
            assert ask([runner], "register") == ["lost 11"]
            assert ask([runner], "release") == ["released"]
            entries, state = journal.read()
            assert [entry.kind for entry in entries] == ["claimed", "taken_over"]
            assert state.claims["train"].number == 2
        assert list(journal.store.list("leases/")) == []


def signal_all(pid: int, number: signal.Signals) -> None:
    """Signal a process and its children: its heartbeat stops with it, as on a host that stands still."""
    process = psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        each.send_signal(number)


@pytest.mark.parametrize(
    "appends", [1, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_thirty_two_processes_make_one_chain(where: str, appends: int) -> None:
    """Thirty-two that begin at once: one winner a number, no gap, nothing lost, nothing twice."""
    writers = 32
    command = [sys.executable, __file__, where, str(writers), str(appends)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    journal = open_journal(attach_store(where), "flights", "reader")
    assert journal.verify().holds
    entries = journal.read_from(0, ORIGIN)
    assert [entry.number for entry in entries] == list(range(1, writers * appends + 1))
    assert len({(entry.actor, entry.reason) for entry in entries}) == writers * appends


class Actor:
    """What one of the eight processes does."""

    def __init__(self, where: str, *, opens: bool = True) -> None:
        self.store = open_store(where) if opens else attach_store(where)
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

    def claim_elsewhere(self) -> str:
        far = replace(identify_process(), host="far", host_id="far/boot/ns")
        terms = Terms(lease_seconds=2.0, beat_seconds=0.3)
        held = self.stack.enter_context(claim(self.journal, self.store, "train", terms=terms, owner=far))
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

    def append(self, appends: int = APPENDS) -> str:
        for number in range(appends):
            repaired = decide_alias_repaired(alias="champion", found=None, repaired_to=1, reason=str(number))
            self.journal.append(repaired)
        return "appended"


def main(where: str) -> None:
    actor = Actor(where)
    for line in sys.stdin:
        verb, *words = line.split()
        sys.stdout.write(getattr(actor, verb)(*words) + "\n")
        sys.stdout.flush()


def race(where: str, writers: int, appends: int) -> int:
    """Fork *writers* that begin to append together; how many of them failed."""
    open_store(where)
    waiting, start = os.pipe()
    for _ in range(writers):
        if os.fork() == 0:
            os.close(start)
            actor = Actor(where, opens=False)
            os.read(waiting, 1)
            actor.append(appends)
            os._exit(0)
    os.close(start)
    return sum(os.wait()[1] != 0 for _ in range(writers))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(race(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    main(sys.argv[1])
