"""Tests that drift seen by many checks at once starts one retrain, and that a killed one is tried again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from evertrain.config.files import load_config
from evertrain.drift_records import CheckedRows, DriftOutcome
from evertrain.pipelines import Pipeline, open_pipeline
from evertrain.policy import Action
from evertrain.records import BundleSummary, SnapshotSummary, TrainOutcome
from evertrain.release import PipelineState, decide_promoted, decide_registered
from evertrain.release.retraining import decide_checked
from evertrain.settings import read_settings
from tasks.check import Check
from tasks.decide import ask_policy, past_check
from tasks.retrain import retrain_once

pytestmark = [pytest.mark.fault]
CHECKS, ROUNDS, RACES = 6, 10, 12
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline with a champion, and a cooldown of a day."""
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    path = tmp_path / "loans.yaml"
    path.write_text(
        "{name: loans, data: {source: {type: files, uri: x.csv}, target: y}, "
        "training: {estimator: sklearn.dummy.DummyClassifier}, evaluation: {task: binary_classification}}"
    )
    journal = opened(path).journal
    facts = dict.fromkeys(("run_key", "run_id", "bundle", "snapshot", "config", "code"), "f")
    journal.append(decide_registered(version=1, **facts))
    journal.append(decide_promoted(version=1))
    return path


def opened(path: Path) -> Pipeline:
    settings = read_settings()
    return open_pipeline(load_config(path, settings), settings)


def drifted(day: int) -> DriftOutcome:
    return DriftOutcome(
        pipeline="loans",
        decision="drifted",
        triggers=("data",),
        retrain="started",
        why="",
        champion=1,
        as_of=START + timedelta(days=day),
        max_share=0.3,
        rows=CheckedRows(reference=1, current=1),
    )


def promote(config: Path, version: int) -> int:
    """Crown *version*; gives the number of the entry."""
    journal = opened(config).journal
    facts = dict.fromkeys(("run_key", "run_id", "bundle", "snapshot", "config", "code"), f"f{version}")
    journal.append(decide_registered(version=version, **facts))
    return journal.append(decide_promoted(version=version))[0].number


def write_check(check: Check, outcome: DriftOutcome) -> str:
    """Write the check as the task ``decide`` does; gives what the policy said."""

    def ask(state: PipelineState) -> Action:
        return ask_policy(check, outcome, state, may_retrain=True)

    decide = decide_checked(outcome.decision, past_check(check, outcome), {}, ask)
    return str(check.pipeline.journal.append(decide)[0].data["retrain"])


def held(moment: str) -> TrainOutcome:
    return TrainOutcome(
        pipeline="loans",
        decision="held",
        version=2,
        run_id="r",
        run_key=moment,
        metrics={},
        snapshot=SnapshotSummary(digest="d", rows=1, unlabelled=0, quarantined=0),
        bundle=BundleSummary(digest="b", runtime="native"),
    )


def retrain_in_turns(config: Path, log: Path, barrier: Any, answers: Any) -> None:
    """See drift round after round, at the same moment as all others; note each training."""

    def train(moment: str) -> TrainOutcome:
        with log.open("a") as file:
            file.write(f"{moment}\n")
        time.sleep(0.02)
        return held(moment)

    for day in range(ROUNDS):
        check = Check(opened(config), None, {})
        barrier.wait(60)
        answers.put((day, retrain_once(check, drifted(day), train).retrain))
        barrier.wait(60)


def test_drift_that_many_checks_see_at_once_starts_one_retrain(config: Path, tmp_path: Path) -> None:
    """In every round one check answers ``started`` and trains; the others say why they don't (X4)."""
    fork = multiprocessing.get_context("fork")
    barrier, answers, log = fork.Barrier(CHECKS), fork.Queue(), tmp_path / "trained"
    checks = [
        fork.Process(target=retrain_in_turns, args=(config, log, barrier, answers)) for _ in range(CHECKS)
    ]
    for each in checks:
        each.start()
    found = [answers.get(timeout=120) for _ in range(CHECKS * ROUNDS)]
    for each in checks:
        each.join(60)

    assert [each.exitcode for each in checks] == [0] * CHECKS
    started = Counter(day for day, action in found if action == "started")
    assert started == Counter(range(ROUNDS))
    assert {action for _, action in found} <= {"started", "already_running", "cooldown"}
    trained = log.read_text().splitlines()
    assert trained == [drifted(day).as_of.isoformat() for day in range(ROUNDS)]
    kinds = Counter(entry.kind for entry in opened(config).journal.read()[0])
    assert (kinds["retrain_started"], kinds["retrain_ended"]) == (ROUNDS, ROUNDS)


def test_a_retrain_that_was_killed_is_tried_again_by_the_next_check(config: Path) -> None:
    """Kill -9 eats no retrain: the next check takes the claim over at once, whatever the cooldown."""
    child = os.fork()
    if child == 0:
        retrain_once(
            Check(opened(config), None, {}), drifted(0), lambda _: os.kill(os.getpid(), signal.SIGKILL)
        )
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    outcome = retrain_once(Check(opened(config), None, {}), drifted(0), held)

    assert outcome.retrain == "started"
    entries, state = opened(config).journal.read()
    assert [entry.kind for entry in entries][2:] == [
        "claimed",
        "retrain_started",
        "taken_over",
        "retrain_started",
        "retrain_ended",
        "released",
    ]
    assert not state.claims


def test_a_champion_that_changed_meanwhile_stops_the_retrain(config: Path) -> None:
    """A check in flight while another version was promoted triggers nothing (D10)."""
    check = Check(opened(config), None, {})
    facts = dict.fromkeys(("run_id", "bundle", "snapshot", "config", "code"), "f")
    journal = opened(config).journal
    journal.append(decide_registered(version=2, run_key="g", **facts))
    journal.append(decide_promoted(version=2))

    outcome = retrain_once(check, drifted(0), held)

    assert (outcome.retrain, outcome.train) == ("none", None)
    assert "champion changed" in outcome.why


@pytest.mark.parametrize("place", ["before it decides", "before it claims", "while it claims"])
def test_a_check_of_a_champion_that_goes_starts_nothing(config: Path, place: str) -> None:
    """Whenever another is crowned while a check is in flight, no retrain starts after it (D10)."""
    answers: Counter[str] = Counter()
    for turn in range(RACES):
        check, outcome, crowned = Check(opened(config), None, {}), drifted(turn * 2), []
        crowning = Thread(target=lambda: crowned.append(promote(config, turn + 2)))  # noqa: B023
        if place == "before it decides":
            crowning.start()
        if write_check(check, outcome) == "started":
            if place != "before it decides":
                crowning.start()
            if place == "before it claims":
                crowning.join()
            answers[retrain_once(check, outcome, held).retrain] += 1
        else:
            answers["not called for"] += 1
        crowning.join()
        late = [
            entry
            for entry in opened(config).journal.read()[0]
            if entry.kind == "retrain_started" and entry.data["as_of"] == outcome.as_of.isoformat()
        ]
        assert all(entry.number < crowned[0] for entry in late)
    assert sum(answers.values()) == RACES
    if place == "before it claims":
        assert answers == {"none": RACES}
