"""Owns the store in a local folder: durable files, and hard links for what only one writer gets."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evertrain.errors import StorageError, StorageUnavailable
from evertrain.storage.files import (
    Link,
    create_file,
    list_files,
    make_folder,
    read_clock_seconds,
    remove_leftovers,
    replace_file,
    sync_folder,
    temporary_path,
)
from evertrain.storage.keys import check_key, check_prefix
from evertrain.storage.protocol import GONE

_BUSY = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})


class LocalStore:
    """A store in a folder of a file system that has hard links.

    Args:
        root: The folder; made by ``prepare``.
        link: Gives an existing file a second name, failing if that name exists. Tests plant faults here.
    """

    def __init__(self, root: Path, *, link: Link = os.link) -> None:
        self.root = root.absolute()
        self._link = link

    @property
    def where(self) -> str:
        """The folder, as text."""
        return str(self.root)

    def path(self, key: str) -> Path:
        """The file that holds *key*, for readers that want a file; it need not exist.

        Raises:
            StorageError: *key* isn't a key.
        """
        check_key(key)
        return self.root / key

    def get(self, key: str) -> bytes | None:
        """See Store."""
        path = self.path(key)
        with _told("read", key, self.root):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def put(self, key: str, data: bytes) -> None:
        """See Store."""
        path = self.path(key)
        with _told("write", key, self.root):
            replace_file(path, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See Store."""
        path = self.path(key)
        with _told("write", key, self.root):
            return create_file(path, data, self._link)

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        check_prefix(prefix)
        with _told("list", prefix, self.root):
            files = list_files(self.root / prefix.rpartition("/")[0])
            keys = (path.relative_to(self.root).as_posix() for path in files)
            return iter(sorted(key for key in keys if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """See Store."""
        path = self.path(key)
        with _told("delete", key, self.root):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            sync_folder(path.parent)

    def age_seconds(self, key: str) -> float | None:
        """See Store."""
        path = self.path(key)
        with _told("read the age of", key, self.root):
            try:
                written = path.stat().st_mtime
            except (FileNotFoundError, NotADirectoryError):
                return None
            return max(0.0, read_clock_seconds(self.root) - written)

    def get_if_changed(self, key: str, tag: str | None) -> tuple[bytes, str] | None:
        """See Store."""
        data = self.get(key)
        if data is None:
            return None if tag in (None, GONE) else (b"", GONE)
        # The content itself is the tag: inodes are used again and time stamps are too coarse.
        found = hashlib.sha256(data).hexdigest()
        return None if found == tag else (data, found)

    def prepare(self) -> None:
        """Make the folder, try put-if-absent on it and remove what killed writers left.

        Raises:
            StorageError: The folder can't be made or written, has no hard links, or lets a second writer win.
        """
        with _told("open the store", "", self.root):
            make_folder(self.root)
            self._probe()
            remove_leftovers(self.root)

    def _probe(self) -> None:
        name = temporary_path(self.root)
        try:
            first, second = (create_file(name, text, self._link) for text in (b"1", b"2"))
        except OSError as cause:
            if cause.errno not in _NO_LINKS or cause.filename2 is None:
                raise
            raise StorageError(
                f"The file system of {self.root} has no hard links, which the journal needs; "
                "set EVERTRAIN_STORE to a folder on a local disk.",
                folder=str(self.root),
            ) from cause
        finally:
            name.unlink(missing_ok=True)
        if not first or second:
            raise StorageError(
                f"The file system of {self.root} let a second writer overwrite what a first had written; "
                "the journal would not be safe there. Set EVERTRAIN_STORE to a folder on a local disk.",
                folder=str(self.root),
            )


@contextmanager
def _told(verb: str, key: str, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        what = f"{verb} {key!r}" if key else verb
        kind = StorageUnavailable if cause.errno in _BUSY else StorageError
        raise kind(
            f"Can't {what} in {root}: {cause.strerror or cause}. {_advice(cause.errno)}",
            key=key,
            folder=str(root),
        ) from cause


def _advice(number: int | None) -> str:
    if number in _FULL:
        return "Free some space there, or set EVERTRAIN_STORE to another folder."
    if number in _FORBIDDEN:
        return "Let this user write there, or set EVERTRAIN_STORE or EVERTRAIN_HOME to a writable folder."
    if number in _BUSY:
        return "Try again; if it stays so, look at the disk or the server that holds this folder."
    return "Look at the disk that holds this folder, or set EVERTRAIN_STORE to another one."
