"""Owns the recorder that keeps: a bounded queue, a thread that writes ahead, and what is counted."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from evertrain.errors import StorageError
from evertrain.serving_plan import ServingPlan
from serving.prediction_log.lines import name_model, spell_answer, spell_labels, spell_model
from serving.prediction_log.places import ANSWERS, LABELS, read_shipped_at, waiting_bytes
from serving.prediction_log.room import drop_oldest
from serving.prediction_log.segments import SegmentWriter
from serving.recorder import Answered, LateLabel, LogCounts, LogState

WRITE_EVERY_SECONDS = 0.2
"""What a kill -9 costs at most, and a little more: the operating system keeps what was written."""
MOST_ROWS = 50_000
MOST_QUEUED_BYTES = 32 << 20
"""Of requests' bodies; as Python's objects their rows take several times as much."""
MOST_BYTES = 1 << 30
AT_ONCE = 32
BREATH_SECONDS = 0.001
LOOK_EVERY_SECONDS = 2.0
STOP_SECONDS = 5.0
DEFAULT_PLAN = ServingPlan()

_log = logging.getLogger(__name__)


@dataclass
class _Counts:
    logged: int = 0
    sampled_out: int = 0
    dropped: int = 0


class PredictionLog:
    """Keeps answers and labels on this machine's disk; as a context it writes, in a thread of its own.

    Args:
        folder: Where the write-ahead files are; a shipper takes them to the store.
        look_after: Called every two seconds: brings the shipper back if it died.
        most_rows: How many answered rows may wait to be written; more are dropped, and counted.
        most_queued_bytes: How many bytes of requests may wait to be written; as above.
        most_bytes: How much may wait in *folder* for the store; then the oldest answers are dropped, and
            counted.
    """

    def __init__(
        self,
        folder: Path,
        look_after: Callable[[], None] = lambda: None,
        *,
        most_rows: int = MOST_ROWS,
        most_queued_bytes: int = MOST_QUEUED_BYTES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder = folder
        self._look_after = look_after
        self._most_rows = most_rows
        self._most_queued_bytes = most_queued_bytes
        self._most_bytes = most_bytes
        self._queue: deque[Answered] = deque()
        self._queued_rows = 0
        self._queued_bytes = 0
        self._waiting_bytes = 0
        self._counts: dict[str, _Counts] = {}
        self._counting = threading.Lock()
        self._answers = SegmentWriter(folder / ANSWERS)
        self._known: set[str] = set()
        self._labels = SegmentWriter(folder / LABELS)
        self._labelling = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evertrain-log", daemon=True)
        self._told = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def record_answer(self, answered: Answered) -> None:
        """Take an answer; never waits and never raises: what can't be kept is counted as dropped."""
        plan = answered.served.bundle.serving or DEFAULT_PLAN
        if not plan.log_predictions:
            return
        rows = _rows_of(answered)
        with self._counting:
            counts = self._counts_of(answered.served.name)
            if not is_sampled(answered.request_id, plan.sample):
                counts.sampled_out += rows
            elif (
                self._queued_rows + rows > self._most_rows
                or self._queued_bytes + answered.body_bytes > self._most_queued_bytes
            ):
                counts.dropped += rows
            else:
                self._queued_rows += rows
                self._queued_bytes += answered.body_bytes
                self._queue.append(answered)

    def record_labels(self, pipeline: str, labels: Sequence[LateLabel]) -> None:
        """Keep labels; they survive the machine once this returns.

        Raises:
            StorageError: They couldn't be kept.
        """
        lines = spell_labels(pipeline, labels, time.time())
        try:
            with self._labelling:
                self._labels.append(lines, safe=True)
        except OSError as cause:
            raise StorageError(f"{cause.strerror or cause}: {self._folder}.") from cause

    def counts(self) -> LogState:
        """How the log stands; what waits on the disk is that of some seconds ago."""
        with self._counting:
            rows = {
                name: LogCounts(each.logged, each.sampled_out, each.dropped)
                for name, each in self._counts.items()
            }
            queued = self._queued_rows
        return LogState(rows, queued, self._waiting_bytes, read_shipped_at(self._folder))

    def _run(self) -> None:
        look_at = time.monotonic()
        while not self._stopping.wait(WRITE_EVERY_SECONDS):
            self._write_queued()
            self._answers_close_if_due()
            with self._labelling:
                self._labels.close_if_due()
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_EVERY_SECONDS
                self._look_after()
                self._make_room()
        self._write_queued()
        self._answers.close()
        with self._labelling:
            self._labels.close()

    def _make_room(self) -> None:
        try:
            dropped = drop_oldest(self._folder, self._most_bytes)
            self._waiting_bytes = waiting_bytes(self._folder)
        except OSError as cause:
            self._tell(f"The log's folder can't be looked at: {cause.strerror or cause}: {self._folder}.")
            return
        if not dropped:
            return
        with self._counting:
            for pipeline, rows in dropped.items():
                self._counts_of(pipeline).dropped += rows
        _log.warning(
            "Dropped the %d oldest rows of the prediction log: the store takes none, and no more than %d "
            "bytes may wait in %s (EVERTRAIN_MAX_LOG_BYTES).",
            dropped.total(),
            self._most_bytes,
            self._folder,
        )

    def _answers_close_if_due(self) -> None:
        self._answers.close_if_due()
        if self._answers.is_fresh:
            self._known.clear()

    def _write_queued(self) -> None:
        while self._queue:
            some = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
            self._write(some)
            # Python runs one thread at a time: whoever waits for an answer goes first.
            time.sleep(BREATH_SECONDS)

    def _write(self, some: list[Answered]) -> None:
        lines, spelled = [], []
        fresh: set[str] = set()
        for answered in some:
            try:
                line = spell_answer(answered)
            except Exception as error:  # one answer that has no spelling must not end the log
                self._tell(f"A prediction isn't logged: {type(error).__name__}: {error}.")
                self._count([answered], logged=False)
                continue
            model = name_model(answered.served)
            if model not in self._known and model not in fresh:
                fresh.add(model)
                lines.append(spell_model(answered.served))
            lines.append(line)
            spelled.append(answered)
        if not spelled:
            return
        try:
            self._answers.append(b"".join(lines))
        except OSError as cause:
            self._count(spelled, logged=False)
            self._tell(f"Predictions aren't logged: {cause.strerror or cause}: {self._folder}.")
            return
        self._known |= fresh
        if len(spelled) == len(some):
            self._told = ""
        self._count(spelled, logged=True)

    def _count(self, some: list[Answered], *, logged: bool) -> None:
        with self._counting:
            for answered in some:
                rows, counts = _rows_of(answered), self._counts_of(answered.served.name)
                self._queued_rows -= rows
                self._queued_bytes -= answered.body_bytes
                counts.logged += rows if logged else 0
                counts.dropped += 0 if logged else rows

    def _counts_of(self, pipeline: str) -> _Counts:
        return self._counts.setdefault(pipeline, _Counts())

    def _tell(self, line: str) -> None:
        if line != self._told:
            _log.warning("%s The service answers on; what is missing is counted as dropped.", line)
            self._told = line


def is_sampled(request_id: str, share: float) -> bool:
    """Whether a request is of the sample; the same request always is or isn't, whichever process asks."""
    if share >= 1.0:
        return True
    digest = hashlib.blake2b(request_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _rows_of(answered: Answered) -> int:
    prediction = answered.prediction
    found = prediction.values if prediction.codes is None else prediction.codes
    return 0 if found is None else len(found)
