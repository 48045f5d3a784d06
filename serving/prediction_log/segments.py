"""Owns the write-ahead files: lines are appended, a file that is closed is one to ship, whoever wrote it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

SUFFIX = ".log"
MOST_BYTES = 16 << 20
MOST_SECONDS = 20.0
"""A segment that is as large or as old as this is closed, so that what it holds comes into the store."""


class SegmentWriter:
    """Appends to one segment at a time, which is locked while it is open: nobody ships it before.

    Args:
        folder: Where segments are; made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._bytes = 0
        self._opened_seconds = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether the next line is the first of a segment."""
        return self._file is None

    def append(self, lines: bytes, *, safe: bool = False) -> None:
        """Append whole lines; with *safe* they are on the disk when this returns.

        Raises:
            OSError: They can't be written; what was written of them is taken back.
        """
        if self._file is None:
            self._open()
        assert self._file is not None
        try:
            _write_all(self._file, lines)
            if safe:
                os.fsync(self._file)
        except OSError:
            # Half a line would spoil the one that comes after it.
            os.ftruncate(self._file, self._bytes)
            raise
        self._bytes += len(lines)

    def close_if_due(self) -> None:
        """Close the segment if it is large or old enough to be shipped."""
        if self._file is None:
            return
        if self._bytes >= MOST_BYTES or time.monotonic() - self._opened_seconds >= MOST_SECONDS:
            self.close()

    def close(self) -> None:
        """Close the segment: from now on it may be shipped."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with suppress(OSError):
            # Of what can't be made safe, most will be read all the same.
            os.fsync(file)
        os.close(file)

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = None
        while file is None:
            # By time, so that the oldest are the first; no two alike, on whatever machine.
            file = _make_locked(self._folder / f"{time.time_ns():020d}-{uuid4().hex[:12]}{SUFFIX}")
        try:
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            raise
        self._file = file
        self._bytes = 0
        self._opened_seconds = time.monotonic()


def list_segments(folder: Path) -> list[Path]:
    """The segments of *folder*, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def has_closed(folder: Path) -> bool:
    """Whether there is a segment in *folder* that nobody writes any more."""
    return any(_is_closed(segment) for segment in list_segments(folder))


def _is_closed(segment: Path) -> bool:
    with taken(segment) as mine:
        return mine


@contextmanager
def taken(segment: Path) -> Iterator[bool]:
    """Take a segment while the block runs; gives False if its writer lives, or another has taken it."""
    try:
        file = os.open(segment, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        # Whoever had it before may have shipped and removed it.
        yield _lock(file) and segment.exists()
    finally:
        os.close(file)


def _make_locked(segment: Path) -> int | None:
    """Make a segment; None if a shipper came upon it before it was locked: it takes it for an empty one."""
    file = os.open(segment, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    made = False
    try:
        made = _lock(file) and os.fstat(file).st_nlink > 0
    finally:
        if not made:
            os.close(file)
    return file if made else None


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
