"""Owns where the last half hour's counts lie: in rings of whole numbers that sibling processes can read."""

from __future__ import annotations

import logging
import mmap
import os
import time
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote

from evertrain.liveness import started_at

SLOTS = 181
"""A ring has so many: half an hour of ten seconds each, and the ten that have just begun."""

NUMBER, REQUESTS, REFUSED, ERRORS, LATENCIES = range(5)
"""What a slot's cells hold: its own number, three counts, and from the fifth on a count for each latency."""

Key: TypeAlias = tuple[str, str]
"""A model and an arm."""

_log = logging.getLogger(__name__)
_BEGAN, _RING = "began", ".ring"


class Rings:
    """The rings of one process; in a *folder*, those of its siblings can be read too.

    What a process counted stays there when it dies, until it is half an hour old.

    Args:
        cells: How many a slot has.
        folder: Where all processes of a service keep theirs; None: there is only this one.
    """

    def __init__(self, cells: int, folder: Path | None = None) -> None:
        self._bytes = SLOTS * cells * array("I").itemsize
        self._cells = cells
        self._folder = folder
        # Never a file that was there before: one that is cut while it is mapped ends who writes to it.
        self._mine = f"{os.getpid()}+{time.monotonic_ns()}+"
        self._own: dict[Key, memoryview] = {}

    def note_begin(self, seconds: float) -> float:
        """When the first process of the service began, now that one does at *seconds* (monotonic)."""
        if self._folder is None:
            return seconds
        try:
            began = [float(path.name.partition("+")[2]) for path in self._folder.glob(f"{_BEGAN}+*")]
            if not began:
                (self._folder / f"{_BEGAN}+{seconds:.3f}").touch()
        except (OSError, ValueError):
            return seconds
        return min([seconds, *began])

    def make(self, key: Key, number: int) -> memoryview:
        """A new ring for *key*, from slot *number* on; as one row of cells."""
        ring = memoryview(self._make_shared(key, number) or bytearray(self._bytes)).cast("I")
        self._own[key] = ring
        return ring

    def read(self) -> Iterator[tuple[Key, Sequence[int]]]:
        """All slots that were ever begun and not overwritten since, of all processes, in no order."""
        for key, ring in list(self._own.items()):
            yield from self._slots(key, ring.tolist())
        for path in self._siblings():
            try:
                key, cells = _key_of(path), array("I", path.read_bytes())
            except (OSError, ValueError):
                continue
            yield from self._slots(key, cells.tolist())

    def _slots(self, key: Key, cells: Sequence[int]) -> Iterator[tuple[Key, Sequence[int]]]:
        for start in range(0, len(cells) - self._cells + 1, self._cells):
            if cells[start + REQUESTS]:
                yield key, cells[start : start + self._cells]

    def _siblings(self) -> list[Path]:
        if self._folder is None:
            return []
        return [path for path in self._folder.glob(f"*{_RING}") if not path.name.startswith(self._mine)]

    def _make_shared(self, key: Key, number: int) -> mmap.mmap | None:
        if self._folder is None:
            return None
        self._forget_dead(number)
        model, arm = (quote(part, safe="") for part in key)
        try:
            with (self._folder / f"{self._mine}{model}+{arm}{_RING}").open("xb+") as file:
                # Written, not just made long: to touch memory that a full disk can't back ends a process.
                file.write(bytes(self._bytes))
                file.flush()
                return mmap.mmap(file.fileno(), self._bytes)
        except (OSError, ValueError) as cause:
            _log.warning("The status page leaves out this worker's requests for %s: %s", model, cause)
            return None

    def _forget_dead(self, number: int) -> None:
        for path in self._siblings():
            try:
                cells = array("I", path.read_bytes())
                if max(cells[:: self._cells]) <= number - SLOTS and started_at(_pid_of(path)) is None:
                    path.unlink(missing_ok=True)
            except (OSError, ValueError):
                continue


def _key_of(path: Path) -> Key:
    _, _, model, arm = path.name.removesuffix(_RING).split("+")
    return unquote(model), unquote(arm)


def _pid_of(path: Path) -> int:
    return int(path.name.partition("+")[0])
