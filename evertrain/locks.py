"""Owns locks between processes of one machine: an advisory lock on a file, gone with whoever held it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold *path*'s lock while the block runs; waits for whoever holds it. Its folder is made.

    Raises:
        OSError: The file can't be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
