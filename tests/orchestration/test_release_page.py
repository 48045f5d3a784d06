"""``docs/release.md``: its commands, as they stand there, in their order."""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.release import open_journal
from evertrain.rollout.reports import (
    ModelReport,
    ReplicaReport,
    RolloutReport,
    ShadowTotals,
    report_key,
    spell_report,
)
from evertrain.settings import read_settings
from evertrain.storage import Store, attach_store
from serving.prediction_log.parts import make_answer_parts, make_label_parts

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.services,
    pytest.mark.flow,
    pytest.mark.xdist_group("prefect"),
]
PAGE = Path(__file__).parents[2] / "docs" / "release.md"
COUNTS = ArmCounts(1_000)


def commands() -> Iterator[tuple[list[str], int]]:
    """The commands of the page's shell blocks, each with the exit code that it names, else 0."""
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            command, _, remark = line.partition("  # exit ")
            words = shlex.split(command)
            assert words[0] == "evertrain"
            yield words[1:], int(remark or 0)


def log_arms(store: Store) -> None:
    """Log what callers of both arms were answered just now, and what came of it: b was always right."""
    now = time.time()
    model = {"model": "loans", "bundle": "d" * 64, "pipeline": "loans", "version": 1}
    model |= {"features": [["income", "numeric", "float"]], "classes": ["No", "Yes"]}
    answers, labels = [model], []
    for number in range(400):
        arm, happened = "ab"[number % 2], ("No", "Yes")[number // 2 % 2]
        chance = 0.5 if arm == "a" else 0.9 if happened == "Yes" else 0.1
        asked = {"of": "loans", "arm": arm, "id": f"r{number}", "entity": None, "at": now, "seconds": 0.002}
        given = {"columns": [[1.0]], "labels": [happened], "scores": [[1 - chance, chance]]}
        answers.append(asked | given)
        labels.append({"pipeline": "loans", "id": f"r{number}/0", "label": happened, "at": now})
    segment = "0" * 20 + "-0123456789ab"
    for key, part in (*make_answer_parts(segment, answers), *make_label_parts(segment, labels)):
        assert store.put_if_absent(key, part)


@pytest.fixture
def service(home: Path) -> Iterator[None]:
    """A process of the service: it reports good counts of whatever rollout there is, and logs its arms."""
    stopping = threading.Event()
    store = attach_store(read_settings().store)
    logged: set[int] = set()

    def report() -> None:
        journal = open_journal(store, "loans", "service")
        while not stopping.wait(0.1):
            state = journal.read()[1]
            rollout = state.rollout
            if rollout and rollout.kind == "ab" and rollout.number not in logged:
                logged.add(rollout.number)
                log_arms(store)
            steps = {
                step: StepCounts(percent / 100, ArmCounts(round(1_000 * (100 - percent) / percent)), COUNTS)
                for step, percent in enumerate(rollout.steps if rollout else ())
                if percent
            }
            shadow = ShadowTotals(compared=500, requests=500)
            told = rollout and RolloutReport(rollout.number, loaded=True, steps=steps, shadow=shadow)
            model = ModelReport(state.champion or 0, state.generation, told)
            store.put(report_key("one"), spell_report(ReplicaReport("one", "here", 7, {"loans": model})))

    thread = threading.Thread(target=report)
    thread.start()
    yield
    stopping.set()
    thread.join(30)


def test_the_page_s_commands_do_what_it_says(
    home: Path, write_pipeline: Callable[..., Path], evertrain: Callable[..., int], service: None
) -> None:
    """Each ends with the exit code that the page names, and what each strategy leaves is in the journal."""
    path = str(write_pipeline())
    ran = 0
    for words, code in commands():
        typed = [
            path if word == "configs/flights.yaml" else word.replace("flights", "loans") for word in words
        ]
        assert evertrain(*typed) == code, typed
        ran += 1

    assert ran >= 16
    store = attach_store(read_settings().store)
    entries = open_journal(store, "loans", "test").read()[0]
    kinds = [entry.kind for entry in entries]
    assert (kinds.count("promoted"), kinds.count("rolled_back"), kinds.count("rollout_ended")) == (7, 2, 1)
    assert kinds.count("rollout_judged") == 1
    assert kinds.count("rollout_stepped") == 3
    assert (kinds.count("awaiting_approval"), kinds.count("approved")) == (1, 1)
