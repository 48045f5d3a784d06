"""Owns the process that takes the log to the store, as its service's child."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from evertrain.errors import EvertrainError, StorageError
from evertrain.orphans import end_with_parent
from evertrain.storage import Store, attach_store
from serving.prediction_log.parts import Part, make_answer_parts, make_label_parts
from serving.prediction_log.places import ANSWERS, LABELS, note_shipped
from serving.prediction_log.reading import read_lines
from serving.prediction_log.segments import has_closed, list_segments, taken
from serving.retries import Retry

LOOK_SECONDS = 1.0
END_SECONDS = 5.0
"""So long the shipper has, when its service ends, to ship what was written last."""
RESTART_SECONDS = 2.0
NICENESS = 10
"""Where they share a core, whoever waits for an answer goes first."""
UNREADABLE = ".unreadable"
ONCE = "once"
"""The argument of one that ships what there is and ends."""
MakeParts = Callable[[str, Iterable[Mapping[str, Any]]], Iterable[Part]]
_MAKERS: Mapping[str, MakeParts] = {LABELS: make_label_parts, ANSWERS: make_answer_parts}
"""Labels first: they are few, and whoever brought them was told that they are kept."""

_log = logging.getLogger(__name__)


def ship(folder: Path, store: Store) -> int:
    """Ship every segment that nobody writes any more; gives how many.

    A segment that was shipped and not yet removed is shipped again, to the same parts: nothing is doubled.

    Raises:
        StorageError: The store doesn't take it; the segment stays.
        OSError: A segment can't be read.
    """
    shipped = 0
    for kind, make_parts in _MAKERS.items():
        for segment in list_segments(folder / kind):
            with taken(segment) as mine:
                if mine and _ship_segment(segment, make_parts, store):
                    note_shipped(folder)
                    shipped += 1
    return shipped


def _ship_segment(segment: Path, make_parts: MakeParts, store: Store) -> bool:
    """Whether anything was in it; what no part can be made of is put aside."""
    parts = 0
    try:
        with segment.open("rb") as lines:
            for key, data in make_parts(segment.stem, read_lines(lines)):
                store.put_if_absent(key, data)
                parts += 1
    except (ImportError, MemoryError, OSError, StorageError):
        raise
    except Exception as error:  # whatever is wrong with one segment, it must not hold up those behind it
        aside = segment.with_suffix(UNREADABLE)
        segment.rename(aside)
        _log.error(
            "A part of the prediction log can't be shipped: %s: %s. It is kept as %s; what came after it is "
            "shipped.",
            type(error).__name__,
            error,
            aside,
        )
        return False
    segment.unlink()
    return parts > 0


class ShipperProcess:
    """The shipper of a service, as its child: there from the first thing to ship on, brought back if it died.

    Args:
        folder: The log's.
        store: Where it goes.
    """

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self._due_seconds = 0.0

    def look(self) -> None:
        """Start it if there is something for it and it doesn't run and wasn't started just now."""
        if self._runs or time.monotonic() < self._due_seconds or not self._has_work:
            return
        self._due_seconds = time.monotonic() + RESTART_SECONDS
        self._start()

    def end(self) -> None:
        """Let it ship what was written last, and end it; what isn't shipped is shipped by the next one."""
        if self._process is not None and self._runs:
            self._process.terminate()
        elif self._has_work:
            self._start(ONCE)
        if self._process is not None:
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def _has_work(self) -> bool:
        try:
            return any(has_closed(self._folder / kind) for kind in _MAKERS)
        except OSError as error:
            _log.warning("The prediction log waits on this machine: %s.", error)
            return False

    def _start(self, *words: str) -> None:
        command = [sys.executable, "-m", "serving.prediction_log.shipper"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, str(self._folder), str(os.getpid()), *words],
                env={**os.environ, "EVERTRAIN_STORE": self._store},
                stdin=subprocess.DEVNULL,
                # A Ctrl-C in the terminal is the service's to answer. Not a session of its own: between
                # sessions Linux shares a core evenly, however nice one is.
                process_group=0,
            )
        except OSError as error:
            _log.warning("The prediction log waits on this machine: no process can be started: %s.", error)


def run(folder: Path, store: Store, is_over: Callable[[], bool]) -> None:
    """Ship until *is_over*, which waits a while each time, and then once more.

    What fails is told once and tried again; a store that has just failed is not asked at the end.
    """
    retry = Retry("Can't ship the prediction log", time.monotonic)
    over = False
    while True:
        retry.attempt(lambda: _ship_all(folder, store))
        if over:
            return
        over = is_over()


def _ship_all(folder: Path, store: Store) -> None:
    ship(folder, store)


def main() -> None:
    """Be the shipper of the folder and the process that the arguments name."""
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    # Waited for, not handled: what is being shipped is shipped. Before any thread begins, which inherits it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    end_with_parent(parent)
    os.nice(NICENESS)
    try:
        store = attach_store(os.environ["EVERTRAIN_STORE"])
    except EvertrainError as error:
        raise SystemExit(error.message) from error
    once = ONCE in sys.argv[3:]
    run(folder, store, lambda: once or signal.sigtimedwait({signal.SIGTERM}, LOOK_SECONDS) is not None)


if __name__ == "__main__":
    main()
