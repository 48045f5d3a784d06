"""Owns what Prometheus is told of the prediction log: taken from the recorder's own counts, now and then."""

from __future__ import annotations

import threading
import time

from prometheus_client import CollectorRegistry, Counter, Gauge

from serving.recorder import LogCounts, Recorder

EVERY_SECONDS = 1.0


class LogMetrics:
    """Brings a recorder's counts to Prometheus.

    Each of several workers has a recorder of its own and is scraped by chance: what it counted is brought
    over with its requests, at most once a second, and when it is scraped itself.

    Args:
        recorder: Counts.
        registry: Tells.
    """

    def __init__(self, recorder: Recorder, registry: CollectorRegistry) -> None:
        self._recorder = recorder
        self._told: dict[str, LogCounts] = {}
        self._due_seconds = 0.0
        # A scrape looks in a thread of its own.
        self._looking = threading.Lock()
        self._rows = Counter(
            "evertrain_log_rows",
            "Answered rows that were logged, left out by the sample, or dropped.",
            ("model", "outcome"),
            registry=registry,
        )
        self._queued = Gauge(
            "evertrain_log_queue_rows",
            "Answered rows that wait to be written to the log.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._waiting = Gauge(
            "evertrain_log_waiting_bytes",
            "Bytes of the log on this machine's disk that wait for the store.",
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self._shipped = Gauge(
            "evertrain_log_shipped_timestamp_seconds",
            "When the store last took a part of the log, in seconds since 1970; 0 if it took none yet.",
            multiprocess_mode="mostrecent",
            registry=registry,
        )

    def look_now_and_then(self) -> None:
        """Look at the recorder, unless that was done within the last second."""
        now = time.monotonic()
        if now >= self._due_seconds:
            self._due_seconds = now + EVERY_SECONDS
            self.look()

    def look(self) -> None:
        """Bring over what the recorder has counted since the last look."""
        with self._looking:
            state = self._recorder.counts()
            for model, counts in state.rows.items():
                before = self._told.get(model, LogCounts())
                self._told[model] = counts
                for outcome, now, then in zip(LogCounts._fields, counts, before, strict=True):
                    self._rows.labels(model, outcome).inc(now - then)
            self._queued.set(state.queued_rows)
            self._waiting.set(state.waiting_bytes)
            self._shipped.set(state.shipped_at_seconds or 0.0)
