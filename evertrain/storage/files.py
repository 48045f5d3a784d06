"""Owns durable writes to a folder: whole files or none, names that only one writer gets, leftovers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from evertrain.failpoints import failpoint
from evertrain.liveness import host_tag, started_at

TEMP_PREFIX = ".tmp-"
LEFTOVER_SECONDS = 3600.0

Link: TypeAlias = Callable[[Path, Path], None]


def replace_file(path: Path, data: bytes) -> None:
    """Write or overwrite *path* durably; readers see the old or the new bytes, never a part."""
    with _temp_file(path.parent, data) as temp:
        failpoint("store-before-replace")
        temp.replace(path)
        failpoint("store-after-replace")
        sync_folder(path.parent)


def create_file(path: Path, data: bytes, link: Link = os.link) -> bool:
    """Write *path* durably unless it exists; False: it does.

    An O_EXCL on the name itself would leave an empty file, in the way for ever, where the writer is killed.
    """
    with _temp_file(path.parent, data) as temp:
        failpoint("store-before-link")
        try:
            link(temp, path)
        except FileExistsError:
            return False
        failpoint("store-after-link")
        temp.unlink()
        sync_folder(path.parent)
        return True


def make_folder(folder: Path) -> None:
    """Make *folder* and what is missing above it, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_clock_seconds(folder: Path) -> float:
    """The present time of whoever keeps *folder* (an NFS server, say), as a fresh file's time stamp."""
    with _temp_file(folder, b"") as temp:
        return temp.stat().st_mtime


def list_files(folder: Path) -> Iterator[Path]:
    """Every file below *folder* but the temporary ones; none if it doesn't exist."""
    return (path for path in _walk(folder) if not is_temporary(path.name))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files below *folder* whose writers are gone, or that are over an hour old."""
    now_seconds = read_clock_seconds(folder)
    for path in _walk(folder):
        if is_temporary(path.name) and _is_leftover(path, now_seconds):
            path.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that a writer hasn't finished."""
    return name.startswith(TEMP_PREFIX)


def temporary_path(folder: Path) -> Path:
    """A name that nobody else uses; it tells which process to ask whether it is still needed."""
    return folder / f"{TEMP_PREFIX}{host_tag()}-{os.getpid()}-{uuid.uuid4().hex}"


@contextmanager
def _temp_file(folder: Path, data: bytes) -> Iterator[Path]:
    make_folder(folder)
    temp = temporary_path(folder)
    try:
        with temp.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temp
    finally:
        temp.unlink(missing_ok=True)


def _is_leftover(path: Path, now_seconds: float) -> bool:
    host, _, rest = path.name.removeprefix(TEMP_PREFIX).partition("-")
    pid = rest.partition("-")[0]
    if host == host_tag() and pid.isdecimal() and started_at(int(pid)) is None:
        return True
    try:
        return now_seconds - path.stat().st_mtime > LEFTOVER_SECONDS
    except FileNotFoundError:
        return False


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder, onerror=_refuse_unreadable):
        yield from (Path(parent, name) for name in names)


def _refuse_unreadable(error: OSError) -> None:
    # os.walk would pass over a folder that it may not read; what isn't listed would look deleted.
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
