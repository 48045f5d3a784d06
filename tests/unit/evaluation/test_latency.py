from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest

from evertrain.evaluation.latency import CALLS, WARM_UP_CALLS, measure_latency

COLUMNS = {"a": np.arange(300), "unused": np.arange(300)}


class Timed:
    """A bundle on a clock of its own: call number n takes ``ms(n)``."""

    def __init__(self, ms):
        self.signature = SimpleNamespace(features=[SimpleNamespace(name="a")])
        self.ms, self.now, self.asked = ms, 0, []

    def predict(self, columns):
        assert set(columns) == {"a"}
        assert len(columns["a"]) == 1, "one row at a time"
        assert not gc.isenabled(), "no collection falls into a call"
        self.now += int(self.ms(len(self.asked) - WARM_UP_CALLS) * 1e6)
        self.asked.append(int(columns["a"][0]))

    def measure(self, limit_ms):
        return measure_latency(self, COLUMNS, limit_ms, clock=lambda: self.now)


def test_a_thousand_calls_are_timed_after_warm_up():
    """The first fifty calls, which are slow, count nothing; a hundred rows are asked in turn."""
    bundle = Timed(lambda call: 500 if call < 0 else 2)
    found = bundle.measure(20)
    assert (found.calls, found.p50_ms, found.p99_ms, found.tries) == (1000, 2, 2, 1)
    assert len(bundle.asked) == WARM_UP_CALLS + CALLS
    assert set(bundle.asked) == set(range(100))
    assert gc.isenabled()


@pytest.mark.parametrize(("slow", "p99"), [(10, 1), (11, 50)])
def test_p99_lets_ten_calls_of_a_thousand_be_slow(slow, p99):
    """The 99th percentile is the 990th quickest call."""
    assert Timed(lambda call: 50 if call < slow else 1).measure(100).p99_ms == p99


def test_a_busy_machine_gets_another_try():
    """Where only the slowest calls break the limit all are made anew, and the quickest try counts."""
    found = Timed(lambda call: 50 if call < 2 * CALLS and call % 20 == 0 else 1).measure(20)
    assert (found.p99_ms, found.tries) == (1, 3)


def test_a_model_that_is_now_and_then_slow_stays_so():
    """Tries are few: one call in twenty that takes too long breaks the limit each time."""
    found = Timed(lambda call: 50 if call % 20 == 0 else 1).measure(20)
    assert (found.p99_ms, found.tries) == (50, 3)


def test_a_slow_model_gets_no_further_try():
    """Where even the median breaks the limit it is the model, and not the machine."""
    assert Timed(lambda call: 30).measure(20).tries == 1


def test_a_very_slow_model_is_not_called_for_ever():
    """After a minute it is enough: the calls that were made are counted."""
    found = Timed(lambda call: 2000).measure(20)
    assert (found.calls, found.p99_ms) == (31, 2000)


def test_the_collector_stays_off_where_it_was_off():
    """What the process had chosen is put back."""
    gc.disable()
    try:
        Timed(lambda call: 1).measure(20)
        assert not gc.isenabled()
    finally:
        gc.enable()
