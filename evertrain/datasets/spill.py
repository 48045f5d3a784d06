"""Owns the folder for rows that don't fit into memory: in EVERTRAIN_HOME, gone with its process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from evertrain.errors import StorageError


@contextmanager
def spill_folder(home: Path) -> Iterator[Path]:
    """Have a folder of one's own under *home*, removed at the end; what killed processes left goes now.

    Raises:
        StorageError: It can't be made.
    """
    parent = home / "spill"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(parent)
        made = TemporaryDirectory(prefix=f"{os.getpid()}-", dir=parent, ignore_cleanup_errors=True)
    except OSError as cause:
        raise StorageError(
            f"Can't make a folder in {parent}: {cause.strerror or cause}. Set EVERTRAIN_HOME to a folder "
            "that this user may write."
        ) from cause
    with made as folder:
        yield Path(folder)


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.iterdir():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
