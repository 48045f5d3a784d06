"""Trains that don't end in a promotion at once: a rollout, an approval, and what comes beside them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evertrain.config.files import load_config
from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.pipelines import Pipeline, open_pipeline
from evertrain.rollout.reports import ModelReport, ReplicaReport, RolloutReport, report_key, spell_report
from evertrain.settings import read_settings
from flows.launch import TrainingFlow
from flows.rollout import rollout_flow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Write = Callable[..., Path]
Run = Callable[..., int]
Answer = Callable[[], dict[str, Any]]

WEAK = "sklearn.dummy.DummyClassifier"
BETTER = ["training.estimator=sklearn.gaussian_process.GaussianProcessClassifier"]
CANARY = ["promotion.strategy={type: canary, steps: [50, 100], bake: 0s}"]
BOUND_SECONDS = 30


def opened(path: Path) -> Pipeline:
    settings = read_settings()
    return open_pipeline(load_config(path, settings), settings)


class Process:
    """A process of the service that reports what a test says, until the block ends."""

    def __init__(self, pipeline: Pipeline, **challenger: int) -> None:
        self._pipeline = pipeline
        self._challenger = ArmCounts(**challenger)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Process:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(BOUND_SECONDS)

    def _run(self) -> None:
        while True:
            state = self._pipeline.journal.read()[1]
            rollout = state.rollout
            stable = ArmCounts(self._challenger.requests)
            counted = {
                step: StepCounts(percent / 100, stable, self._challenger)
                for step, percent in enumerate(rollout.steps if rollout else ())
                if rollout and step <= rollout.step
            }
            told = rollout and RolloutReport(rollout.number, loaded=True, steps=counted)
            model = ModelReport(state.champion or 0, state.generation, told)
            report = ReplicaReport("one", "here", 7, {self._pipeline.name: model})
            self._pipeline.store.put(report_key("one"), spell_report(report))
            if self._stopping.wait(0.2):
                return


def test_a_canary_begins_and_is_walked_to_the_title(
    training: TrainingFlow, champions: Write, evertrain: Run, answer: Answer
) -> None:
    """`train` ends with the rollout begun, `rollout run` with the version promoted."""
    path = champions(WEAK)
    outcome = training(str(path), overrides=[*BETTER, *CANARY])
    assert (outcome.decision, outcome.version, outcome.reasons) == ("rollout", 2, ())

    assert evertrain("rollout", "status", "loans", "--json") == 0
    status = answer()
    assert (status["champion"], status["rollout"]["version"], status["rollout"]["percent"]) == (1, 2, 50)
    with Process(opened(path), requests=500):
        assert evertrain("rollout", "run", "loans", "--json") == 0
    ended = answer()
    assert (ended["decision"], ended["champion"], ended["generation"]) == ("promoted", 2, 2)
    assert "nothing speaks against it" in ended["reason"]
    assert evertrain("rollout", "status", "loans", "--json") == 0
    assert answer() == {"pipeline": "loans", "rollout": None, "champion": 2}
    again = training(str(path), overrides=[*BETTER, *CANARY])
    assert (again.decision, again.version, again.cached) == ("rollout", 2, True)


def test_the_flow_rolls_a_bad_version_back(training: TrainingFlow, champions: Write) -> None:
    """Errors of the challenger end its rollout; its flow run says what became of it."""
    path = champions(WEAK)
    training(str(path), overrides=[*BETTER, *CANARY])
    with Process(opened(path), requests=100, errors=20):
        assert rollout_flow(str(path)) == "rolled_back"

    state = opened(path).journal.read()[1]
    assert (state.champion, state.versions[2].status) == (1, "rejected")
    assert rollout_flow(str(path)) == "none"


def test_a_train_beside_a_rollout_is_held_and_judged_again_after_it(
    training: TrainingFlow, champions: Write, evertrain: Run, answer: Answer
) -> None:
    """One challenger at a time; who came second is judged anew once the first is through."""
    path = champions(WEAK)
    training(str(path), overrides=[*BETTER, *CANARY])
    other = ["training.estimator=sklearn.linear_model.LogisticRegression", "training.params={}", *CANARY]

    held = training(str(path), overrides=other)
    assert (held.decision, held.version) == ("held", 3)
    assert held.reasons == ("a rollout of version 2 is under way: evertrain rollout status loans",)
    assert training(str(path), overrides=other).cached
    assert evertrain("rollout", "abort", "loans", "--json", "--reason", "not today") == 0
    assert answer()["decision"] == "aborted"

    judged_again = training(str(path), overrides=other)
    assert (judged_again.decision, judged_again.version, judged_again.cached) == ("rollout", 3, False)


def test_advance_needs_evidence_or_a_reason(
    training: TrainingFlow, champions: Write, evertrain: Run, answer: Answer
) -> None:
    """Without requests it is a conflict, forced without a reason a wrong use; with one it is journalled."""
    path = champions(WEAK)
    training(str(path), overrides=[*BETTER, *CANARY])

    assert evertrain("rollout", "advance", "loans", "--json") == 11
    assert "--force --reason TEXT" in answer()["error"]["message"]
    assert evertrain("rollout", "advance", "loans", "--force", "--json") == 2
    assert "--reason" in answer()["error"]["message"]
    for percent, champion in ((100, 1), (None, 2)):
        assert evertrain("rollout", "advance", "loans", "--force", "--reason", "low season", "--json") == 0
        told = answer()
        assert (told["percent"], told["champion"]) == (percent, champion)
    entries = opened(path).journal.read()[0]
    assert [(entry.kind, entry.reason) for entry in entries[-2:]] == [
        ("rollout_stepped", "low season"),
        ("promoted", "low season"),
    ]
    assert all(entry.data["evidence"]["forced"] for entry in entries[-2:])
    assert evertrain("rollout", "abort", "loans", "--json") == 11


def test_an_approval_is_waited_for(
    training: TrainingFlow, champions: Write, evertrain: Run, answer: Answer
) -> None:
    """A version that passed its gates is held until a person approves it; then it takes over as planned."""
    path = champions(WEAK)
    required = [*BETTER, "promotion.approval=required"]
    waiting = training(str(path), overrides=required)
    assert (waiting.decision, waiting.reasons) == (
        "held",
        ("it awaits approval: evertrain approve loans 2",),
    )
    assert opened(path).journal.read()[1].champion == 1

    assert evertrain("approve", "loans", "7", "--json") == 2
    assert "those that do: 2" in answer()["error"]["message"]
    assert evertrain("approve", "loans", "2", "--reason", "looked at it", "--json") == 0
    assert answer() == {"pipeline": "loans", "decision": "promoted", "version": 2, "generation": 2}
    version = opened(path).journal.read()[1].versions[2]
    assert (version.status, version.approved_by) == ("champion", read_settings().actor)
    assert evertrain("approve", "loans", "2", "--json") == 2
    assert training(str(path), overrides=required).decision == "promoted"


def test_what_a_person_reads_of_a_rollout(
    training: TrainingFlow, champions: Write, evertrain: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each command tells what is so and what to type, without a traceback or a library's words."""
    path = champions(WEAK)
    training(str(path), overrides=[*BETTER, *CANARY])
    capfd.readouterr()
    with Process(opened(path), requests=500):
        assert evertrain("rollout", "status", "loans") == 0
        assert evertrain("rollout", "run", "loans") == 0
    assert evertrain("rollout", "status", "loans") == 0
    said = capfd.readouterr()
    for words in (
        "loans: version 2 beside 1 (canary), step 1 of 2: 50 %",
        "loans version 2 ━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 50 %",
        "version 2 ✓ serves: nothing speaks against it",
        "No rollout of loans is under way; version 2 serves.",
    ):
        assert words in said.out
    assert evertrain("rollout", "run", "loans") == 11
    assert "No rollout of loans is under way" in capfd.readouterr().err
