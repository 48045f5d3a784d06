"""Owns which names a store's keys may have: the same on every kind of store."""

from __future__ import annotations

from evertrain.errors import StorageError
from evertrain.storage.files import is_temporary

_KEY_BYTES = 1024
_PART_BYTES = 255


def check_key(key: str) -> None:
    """Raise StorageError unless *key* can be a key: names joined by single slashes, none leading out."""
    parts = key.split("/")
    if any(part in ("", ".", "..") or is_temporary(part) for part in parts) or not _is_writable_name(key):
        raise StorageError(
            f"{key!r} can't be a key of the store; expected names joined by single slashes, without '..', "
            f"of at most {_KEY_BYTES} bytes.",
            key=key,
        )


def check_prefix(prefix: str) -> None:
    """Raise StorageError unless keys can begin with *prefix*; empty: all keys do."""
    whole = prefix.removesuffix("/")
    if whole or prefix:
        check_key(whole)


def _is_writable_name(key: str) -> bool:
    try:
        sizes = [len(part.encode()) for part in key.split("/")]
    except UnicodeEncodeError:
        return False
    short = max(sizes) <= _PART_BYTES and len(key.encode()) <= _KEY_BYTES
    return short and "\0" not in key and "\\" not in key
