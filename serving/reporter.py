"""Owns the thread that reports to the store what this process serves, and how a rollout fares in it."""

from __future__ import annotations

import os
import socket
import threading
import time
from types import TracebackType
from typing import Self
from uuid import uuid4

from evertrain.liveness import host_tag
from evertrain.rollout.reports import (
    HURRIED_SECONDS,
    REPORT_SECONDS,
    ReplicaReport,
    report_key,
    spell_report,
)
from evertrain.storage import Store
from serving.retries import Clock, Retry
from serving.watcher import Watcher

STOP_SECONDS = 5.0


class Reporter:
    """Overwrites this process' report each second, more often during a rollout, while the context lasts.

    Args:
        store: Where to; its key may write under ``replicas/``.
        watcher: Knows what is served.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, watcher: Watcher, clock: Clock = time.monotonic) -> None:
        self._store = store
        self._watcher = watcher
        self._id = f"{host_tag()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._reporting = Retry("Can't report to the store what is served here", clock)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evertrain-reporter", daemon=True)

    def report(self) -> None:
        """Report once.

        Raises:
            StorageError: The store doesn't take it.
        """
        report = ReplicaReport(self._id, socket.gethostname(), os.getpid(), self._watcher.reports())
        self._store.put(report_key(self._id), spell_report(report))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while True:
            self._reporting.attempt(self.report)
            if self._stopping.wait(HURRIED_SECONDS if self._watcher.is_hurried else REPORT_SECONDS):
                return
