"""A rollout's controller is killed at each of its moves: the next takes the rollout up where it stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evertrain.failpoints import VARIABLE
from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.release import decide_promoted, decide_registered, open_journal
from evertrain.release.rollouts import decide_rollout_started
from evertrain.rollout.reports import ModelReport, ReplicaReport, RolloutReport, report_key, spell_report
from evertrain.storage import attach_store

ROOT = Path(__file__).parents[2]
BOUND_SECONDS = 60
PROGRAM = """
import sys
from evertrain.claims import claim
from evertrain.release import open_journal
from evertrain.rollout.controller import RolloutController
from evertrain.storage import attach_store

store = attach_store(sys.argv[1])
journal = open_journal(store, "flights", "controller")
with claim(journal, store, "rollout") as held:
    RolloutController(journal, store, fence=held.number).run()
"""
GOOD, BAD = ArmCounts(500), ArmCounts(500, errors=200)
POINTS = [
    *((f"rollout-{when}-{move}", GOOD, 2) for when in ("before", "after") for move in ("step", "promote")),
    *((f"rollout-{when}-roll_back", BAD, 1) for when in ("before", "after")),
]


def begin(where):
    """A champion 1, and 2 at the first step of its canary."""
    store = attach_store(where)
    journal = open_journal(store, "flights", "test")
    for version in (1, 2):
        facts = {name: f"{name}-{version}" for name in ("run_key", "run_id", "bundle")}
        facts |= {"snapshot": "s", "config": "c", "code": "e"}
        journal.append(decide_registered(version=version, **facts))
        if version == 1:
            journal.append(decide_promoted(version=1))
    journal.append(
        decide_rollout_started(
            version=2,
            strategy={"type": "canary", "steps": [50, 100], "bake_seconds": 0.0, "metric": None},
            guardrails={"max_error_rate": 0.01, "max_p99_ratio": 1.5},
        )
    )
    return store, journal


@pytest.fixture
def reporting(tmp_path):
    """Has a process of the service report its arms' counts, whatever the step."""
    stopping, threads = threading.Event(), []

    def start(store, challenger):
        counts = {step: StepCounts(share, ArmCounts(500), challenger) for step, share in ((0, 0.5), (1, 1.0))}

        def report():
            while not stopping.wait(0.1):
                told = RolloutReport(5 - 1, loaded=True, steps=counts)
                models = {"flights": ModelReport(2, 9, told)}
                store.put(report_key("one"), spell_report(ReplicaReport("one", "here", 7, models)))

        threads.append(threading.Thread(target=report))
        threads[-1].start()

    yield start
    stopping.set()
    for thread in threads:
        thread.join(BOUND_SECONDS)


def walk(where, point=None):
    variables = {**os.environ, "PYTHONPATH": str(ROOT)} | ({VARIABLE: point} if point else {})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, where],
        env=variables,
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.fault
@pytest.mark.parametrize(("point", "challenger", "champion"), POINTS, ids=[point for point, *_ in POINTS])
def test_a_killed_controller_leaves_a_rollout_that_goes_on(tmp_path, reporting, point, challenger, champion):
    """One champion, one end, one chain; no move is made twice."""
    where = str(tmp_path / "store")
    store, journal = begin(where)
    assert journal.read()[1].rollout.number == 4
    reporting(store, challenger)
    code, said = walk(where, point)
    assert code == -signal.SIGKILL, said

    assert walk(where) == (0, "")
    entries, state = journal.read()
    assert (state.champion, state.rollout) == (champion, None)
    kinds = [entry.kind for entry in entries]
    assert kinds.count("rollout_stepped") == (champion == 2)
    assert sum(kind in ("promoted", "rollout_ended") for kind in kinds) == 2
    assert journal.verify().holds
