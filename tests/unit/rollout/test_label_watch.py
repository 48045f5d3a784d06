"""Labels are read and judged beside the walk, which goes on meanwhile."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np

from evertrain.errors import StorageError
from evertrain.evaluation.scores import ValueAnswers
from evertrain.release.state import Rollout
from evertrain.rollout.label_watch import READ_SECONDS, LabelWatch
from evertrain.rollout.verdicts import ArmOutcomes, Arms

ROLLOUT = Rollout(
    number=7,
    version=2,
    strategy={"type": "ab", "steps": [50], "bake_seconds": 1.0, "metric": "mean_absolute_error"},
    guardrails={"max_error_rate": 0.01, "max_p99_ratio": 1.5},
    step=0,
    step_since="2026-01-01T00:00:00+00:00",
)


def outcomes(rows, off):
    truth = np.random.default_rng(1).normal(size=rows)
    return ArmOutcomes(ValueAnswers(truth, truth + off), np.arange(rows), rows)


def await_look(watch, rollout=ROLLOUT):
    deadline = time.monotonic() + 30
    while (found := watch.look(rollout)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_a_slow_read_holds_nobody_up():
    """While the labels are read, a look comes back at once and empty-handed; then with the verdict."""
    may_end = threading.Event()

    def read(_):
        assert may_end.wait(30)
        return Arms(outcomes(200, 0.5), outcomes(300, 0.1))

    with LabelWatch(read) as watch:
        assert watch.look(ROLLOUT) is None
        may_end.set()
        found = await_look(watch)
    assert (found.rows, found.look) == (200, 1)
    assert found.judged is not None
    assert found.judged.verdict == "better"


def test_labels_are_read_now_and_then():
    """Not at each look: once, and again after half a minute; what isn't due is counted and not judged."""
    now, reads = [0.0], []

    def read(rollout):
        reads.append(rollout)
        return Arms(outcomes(200, 0.5), outcomes(200, 0.5))

    judged_before = replace(ROLLOUT, looks=1, judged_rows=190, verdict="open")
    with LabelWatch(read, lambda: now[0]) as watch:
        found = await_look(watch, judged_before)
        assert (found.rows, found.look, found.judged) == (200, 2, None)
        assert watch.look(judged_before) is found
        assert len(reads) == 1
        now[0] = READ_SECONDS
        watch.look(judged_before)
        deadline = time.monotonic() + 30
        while len(reads) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_store_that_fails_is_asked_again(caplog):
    """The walk goes on, says so, and reads again later."""
    now, answers = [0.0], [StorageError("The store is down."), Arms(outcomes(200, 0.5), outcomes(200, 0.1))]

    def read(_):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with LabelWatch(read, lambda: now[0]) as watch:
        assert watch.look(ROLLOUT) is None
        deadline = time.monotonic() + 30
        while not caplog.records:
            assert watch.look(ROLLOUT) is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "The store is down. They are read again." in caplog.text
        now[0] = READ_SECONDS
        assert await_look(watch).judged is not None
