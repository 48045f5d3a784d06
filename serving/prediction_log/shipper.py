"""Owns the process that takes the log to the store, as its service's child."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from evertrain.errors import EvertrainError
from evertrain.orphans import end_with_parent
from evertrain.storage import Store, attach_store
from serving.prediction_log.lines import read_lines
from serving.prediction_log.parts import make_answer_parts, make_label_parts
from serving.prediction_log.places import ANSWERS, LABELS, note_shipped, waiting_bytes
from serving.prediction_log.segments import list_segments, taken
from serving.retries import Retry

LOOK_SECONDS = 1.0
MOST_WAITING_BYTES = 1 << 30
"""So much of the log is kept on this machine while the store doesn't take it; then the oldest answers go."""
_MAKERS = {ANSWERS: make_answer_parts, LABELS: make_label_parts}

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
                if not mine:
                    continue
                for key, data in make_parts(segment.stem, read_lines(segment.read_bytes())).items():
                    store.put_if_absent(key, data)
                segment.unlink()
                note_shipped(folder)
                shipped += 1
    return shipped


def drop_oldest(folder: Path, most_bytes: int = MOST_WAITING_BYTES) -> int:
    """Drop the oldest answers while all that waits is over *most_bytes*; labels are never dropped."""
    dropped = 0
    excess = waiting_bytes(folder) - most_bytes
    for segment in list_segments(folder / ANSWERS):
        if excess <= 0:
            break
        with taken(segment) as mine:
            if mine:
                excess -= segment.stat().st_size
                segment.unlink()
                dropped += 1
    return dropped


class ShipperProcess:
    """The shipper of a service, as its child; brought back when it died.

    Args:
        folder: The log's.
        store: Where it goes.
    """

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start it if it doesn't run."""
        if self._process is not None and self._process.poll() is None:
            return
        command = [sys.executable, "-m", "serving.prediction_log.shipper"]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, str(self._folder), str(os.getpid())],
            env={**os.environ, "EVERTRAIN_STORE": self._store},
            stdin=subprocess.DEVNULL,
            # A Ctrl-C in the terminal is the service's to answer.
            start_new_session=True,
        )

    def end(self) -> None:
        """End it; what isn't shipped is shipped by the next one."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def run(folder: Path, store: Store, wait: Callable[[], None]) -> None:
    """Ship for ever; what fails is told once and tried again."""
    retry = Retry("Can't ship the prediction log", time.monotonic)
    while True:
        retry.attempt(lambda: _look(folder, store))
        wait()


def _look(folder: Path, store: Store) -> None:
    try:
        ship(folder, store)
    finally:
        dropped = drop_oldest(folder)
        if dropped:
            _log.warning(
                "Dropped %d files of logged answers: the store takes none and no room is left.", dropped
            )


def main() -> None:
    """Be the shipper of the folder and the process that the arguments name."""
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    end_with_parent(parent)
    try:
        store = attach_store(os.environ["EVERTRAIN_STORE"])
    except EvertrainError as error:
        raise SystemExit(error.message) from error
    run(folder, store, lambda: time.sleep(LOOK_SECONDS))


if __name__ == "__main__":
    main()
