"""Owns the recorder that keeps: a bounded queue, a thread that writes ahead, and what is counted."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from evertrain.errors import StorageError
from evertrain.serving_plan import ServingPlan
from serving.prediction_log.lines import name_model, spell_answer, spell_labels, spell_model
from serving.prediction_log.places import ANSWERS, LABELS, read_shipped_at, waiting_bytes
from serving.prediction_log.room import drop_oldest
from serving.prediction_log.segments import SegmentWriter
from serving.recorder import Answered, LateLabel, LogCounts, LogState
from serving.served import Served

WRITE_EVERY_SECONDS = 0.2
"""What a kill -9 costs at most, and a little more: the operating system keeps what was written."""
MOST_QUEUED_BYTES = 32 << 20
MOST_BYTES = 1 << 30
AT_ONCE_BYTES = 1 << 20
LOOK_EVERY_SECONDS = 2.0
STOP_SECONDS = 5.0
DEFAULT_PLAN = ServingPlan()

_log = logging.getLogger(__name__)


class _Line(NamedTuple):
    """An answer that waits to be written."""

    served: Served
    rows: int
    spelled: bytes


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
        most_queued_bytes: How many bytes may wait to be written; answers beyond it are dropped, and counted.
        most_bytes: How much may wait in *folder* for the store; then the oldest answers are dropped, and
            counted.
    """

    def __init__(
        self,
        folder: Path,
        look_after: Callable[[], None] = lambda: None,
        *,
        most_queued_bytes: int = MOST_QUEUED_BYTES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder = folder
        self._look_after = look_after
        self._most_queued_bytes = most_queued_bytes
        self._most_bytes = most_bytes
        self._queue: list[_Line] = []
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
        self._told: dict[str, str] = {}

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
        served = answered.served
        plan = served.bundle.serving or DEFAULT_PLAN
        if not plan.log_predictions:
            return
        sampled = is_sampled(answered.request_id, plan.sample)
        # Here, some microseconds a request: a thread that spells takes more from those who wait for answers.
        spelled = self._spell(answered) if sampled and self._queued_bytes < self._most_queued_bytes else b""
        rows = _rows_of(answered)
        with self._counting:
            counts = self._counts_of(served.name)
            if not sampled:
                counts.sampled_out += rows
            elif not spelled or self._queued_bytes + len(spelled) > self._most_queued_bytes:
                counts.dropped += rows
            else:
                self._queued_rows += rows
                self._queued_bytes += len(spelled)
                self._queue.append(_Line(served, rows, spelled))

    def _spell(self, answered: Answered) -> bytes:
        try:
            return spell_answer(answered)
        except Exception as error:  # one answer that has no spelling must not end the log
            self._tell("spelling", f"A prediction isn't logged: {type(error).__name__}: {error}.")
            return b""

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
            self._tell(
                "looking", f"The log's folder can't be looked at: {cause.strerror or cause}: {self._folder}."
            )
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
        with self._counting:
            waiting, self._queue = self._queue, []
        piece: list[_Line] = []
        size = 0
        for line in waiting:
            piece.append(line)
            size += len(line.spelled)
            if size >= AT_ONCE_BYTES:
                self._write(piece)
                piece, size = [], 0
        if piece:
            self._write(piece)

    def _write(self, piece: list[_Line]) -> None:
        models = {name_model(line.served): line.served for line in piece}
        fresh = {name: served for name, served in models.items() if name not in self._known}
        lines = [*map(spell_model, fresh.values()), *(line.spelled for line in piece)]
        try:
            self._answers.append(b"".join(lines))
        except OSError as cause:
            self._count(piece, logged=False)
            self._tell("writing", f"Predictions aren't logged: {cause.strerror or cause}: {self._folder}.")
            return
        self._known |= fresh.keys()
        self._told.pop("writing", None)
        self._count(piece, logged=True)

    def _count(self, piece: list[_Line], *, logged: bool) -> None:
        with self._counting:
            for line in piece:
                counts = self._counts_of(line.served.name)
                self._queued_rows -= line.rows
                self._queued_bytes -= len(line.spelled)
                counts.logged += line.rows if logged else 0
                counts.dropped += 0 if logged else line.rows

    def _counts_of(self, pipeline: str) -> _Counts:
        return self._counts.setdefault(pipeline, _Counts())

    def _tell(self, about: str, line: str) -> None:
        if line != self._told.get(about):
            _log.warning("%s The service answers on; what is missing is counted as dropped.", line)
            self._told[about] = line


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
