"""``docs/release.md``: its commands, as they stand there, in their order."""

from __future__ import annotations

import re
import shlex
import threading
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
from evertrain.storage import attach_store

pytestmark = [pytest.mark.slow, pytest.mark.flow, pytest.mark.xdist_group("prefect")]
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


@pytest.fixture
def service(home: Path) -> Iterator[None]:
    """A process of the service that reports good counts of whatever rollout there is."""
    stopping = threading.Event()
    store = attach_store(read_settings().store)

    def report() -> None:
        journal = open_journal(store, "loans", "service")
        while not stopping.wait(0.1):
            state = journal.read()[1]
            rollout = state.rollout
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

    assert ran >= 14
    store = attach_store(read_settings().store)
    entries = open_journal(store, "loans", "test").read()[0]
    kinds = [entry.kind for entry in entries]
    assert (kinds.count("promoted"), kinds.count("rolled_back"), kinds.count("rollout_ended")) == (6, 2, 1)
    assert kinds.count("rollout_stepped") == 3
    assert (kinds.count("awaiting_approval"), kinds.count("approved")) == (1, 1)
