"""What Prometheus is told of the prediction log."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import CollectorRegistry

from serving.log_metrics import LogMetrics
from serving.recorder import KeepsNothing, LogCounts, LogState


class Counting(KeepsNothing):
    """A recorder that counts as the test says."""

    def __init__(self):
        self.state = LogState()
        self.looks = 0

    def counts(self):
        self.looks += 1
        return self.state


@pytest.fixture
def recorder():
    return Counting()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def log(recorder, registry):
    return LogMetrics(recorder, registry)


def rows(registry, outcome):
    return registry.get_sample_value("evertrain_log_rows_total", {"model": "flights", "outcome": outcome})


def test_counts_are_told_as_they_grow(log, recorder, registry):
    """However often one looks, each row is told once, by what became of it."""
    for counts in (LogCounts(10, 2, 0), LogCounts(10, 2, 0), LogCounts(25, 4, 3)):
        recorder.state = LogState({"flights": counts}, queued_rows=7, waiting_bytes=900)
        log.look()

    assert [rows(registry, outcome) for outcome in LogCounts._fields] == [25, 4, 3]
    assert registry.get_sample_value("evertrain_log_queue_rows") == 7
    assert registry.get_sample_value("evertrain_log_waiting_bytes") == 900


def test_a_log_that_never_reached_the_store_says_so(log, recorder, registry):
    """0 until the first part is there; then when it was."""
    name = "evertrain_log_shipped_timestamp_seconds"
    log.look()
    assert registry.get_sample_value(name) == 0
    recorder.state = LogState(shipped_at_seconds=1.8e9)
    log.look()
    assert registry.get_sample_value(name) == 1.8e9


def test_requests_look_at_most_once_a_second(log, recorder):
    """A thousand requests in a moment ask the recorder once: its counts aren't free."""
    for _ in range(1_000):
        log.look_now_and_then()
    assert recorder.looks == 1


def test_two_looks_at_once_count_nothing_twice(log, recorder, registry):
    """A scrape in its thread and a request at the same moment bring the same rows over once."""
    recorder.state = LogState({"flights": LogCounts(logged=1_000)})
    threads = [threading.Thread(target=log.look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(registry, "logged") == 1_000
