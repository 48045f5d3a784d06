"""Owns what a store is: seven verbs over named byte strings, whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

GONE = ""


class Store(Protocol):
    """Named byte strings. Every verb raises StorageError when the store can't do it."""

    @property
    def where(self) -> str:
        """What ``open_store`` was given: lets another process open the same store."""
        ...

    def get(self, key: str) -> bytes | None:
        """The bytes under *key*; None if there are none."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write or overwrite *key* at once: readers see the old or the new bytes, never a part."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write *key* unless it exists. True: these bytes are stored; False: someone else's were there."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that begins with *prefix*, in sort order."""
        ...

    def delete(self, key: str) -> None:
        """Remove *key*; no error if it isn't there."""
        ...

    def age_seconds(self, key: str) -> float | None:
        """Seconds since *key* was last written, on the store's own clock; None if it isn't there."""
        ...

    def get_if_changed(self, key: str, tag: str | None) -> tuple[bytes, str] | None:
        """Poll *key*: its bytes and their tag if they aren't those of *tag*.

        Args:
            key: What to read.
            tag: The tag of the last answer; None at the first call.

        Returns:
            None if nothing changed; at the first call (tag None) that means that the key isn't there.
            ``(b"", GONE)`` if a key that had been seen is there no more.
        """
        ...
