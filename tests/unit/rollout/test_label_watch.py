"""Labels are read and judged beside the walk, which goes on meanwhile."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from evertrain.errors import StorageError
from evertrain.release.state import Rollout
from evertrain.rollout.label_watch import READ_SECONDS, Labelled, LabelWatch

ROLLOUT = Rollout(
    number=7,
    version=2,
    strategy={"type": "ab", "steps": [50], "bake_seconds": 1.0, "metric": "mean_absolute_error"},
    guardrails={"max_error_rate": 0.01, "max_p99_ratio": 1.5},
    step=0,
    step_since="2026-01-01T00:00:00+00:00",
)


FOUND = Labelled(rollout=7, look=1, rows=200)


def await_look(watch, rollout=ROLLOUT):
    deadline = time.monotonic() + 30
    while (found := watch.look(rollout)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_a_slow_read_holds_nobody_up():
    """While the labels are read, a look comes back at once and empty-handed; then with what was read."""
    may_end = threading.Event()

    def read(_):
        assert may_end.wait(30)
        return FOUND

    with LabelWatch(read) as watch:
        assert watch.look(ROLLOUT) is None
        may_end.set()
        assert await_look(watch) is FOUND


def test_labels_are_read_now_and_then():
    """Once, and again after half a minute; what was read for an earlier look, or another rollout, is none."""
    now, reads = [0.0], []

    def read(rollout):
        reads.append(rollout)
        return replace(FOUND, look=rollout.looks + 1)

    with LabelWatch(read, lambda: now[0]) as watch:
        found = await_look(watch)
        assert watch.look(ROLLOUT) is found
        judged_since = replace(ROLLOUT, looks=1, judged_rows=190, verdict="open")
        assert watch.look(judged_since) is None
        assert watch.look(replace(ROLLOUT, number=9)) is None
        assert len(reads) == 1
        now[0] = READ_SECONDS
        watch.look(judged_since)
        deadline = time.monotonic() + 30
        while len(reads) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_store_that_fails_is_asked_again(caplog):
    """The walk goes on, says so, and reads again later."""
    now, answers = [0.0], [StorageError("The store is down."), FOUND]

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
        assert await_look(watch) is FOUND
