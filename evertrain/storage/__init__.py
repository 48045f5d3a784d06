"""Owns the object store: named byte strings in a local folder or on S3, opened by one setting."""

from __future__ import annotations

from pathlib import Path

from evertrain.errors import ConfigError
from evertrain.storage.local import LocalStore
from evertrain.storage.protocol import GONE, Store
from evertrain.storage.s3 import SCHEME, S3Store

__all__ = ["GONE", "LocalStore", "S3Store", "Store", "attach_store", "open_store"]


def open_store(where: str) -> Store:
    """Open the store at *where* and try out whether it can hold a journal.

    A folder is made, and cleared of what killed writers left; a bucket must be there.

    Args:
        where: A folder, or ``s3://bucket/prefix``.

    Raises:
        ConfigError: *where* names a kind of store that evertrain doesn't have.
        StorageError: It can't be reached, made or written, or lets a second writer win.
    """
    store = attach_store(where)
    store.prepare()
    return store


def attach_store(where: str) -> LocalStore | S3Store:
    """The store at *where* as it stands: nothing is made, tried or cleared. For helper processes.

    Raises:
        ConfigError: *where* names a kind of store that evertrain doesn't have.
    """
    if where.startswith(SCHEME):
        return S3Store(where)
    if "://" in where or not where or "\0" in where:
        # What stands before an @ may be a password.
        shown = "another kind of address" if "@" in where else repr(where)
        raise ConfigError(
            f"EVERTRAIN_STORE is {shown}; expected the path of a local folder, or s3://bucket/prefix."
        )
    return LocalStore(Path(where))
