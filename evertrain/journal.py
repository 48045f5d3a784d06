"""Owns a pipeline's journal: a gapless chain of entries, each at once state change, audit record and compare-and-set."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

from evertrain.errors import ConfigError, Conflict, JournalTampered, StorageError, StorageUnavailable
from evertrain.failpoints import failpoint
from evertrain.storage import Store

JSON: TypeAlias = "None | bool | int | float | str | Sequence[JSON] | Mapping[str, JSON]"
S = TypeVar("S")
Clock: TypeAlias = Callable[[], datetime]

ORIGIN = "0" * 64
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_UNCLEAR_TRIES = 5


class Illegal(Exception):  # noqa: N818 - a verdict of the fold, not a failure
    """An entry isn't legal in the state before it: folds ignore it, ``verify`` reports it."""


@dataclass(frozen=True)
class Draft:
    """What someone wants to write; ``fence`` is the number of the claim that it is written under."""

    kind: str
    data: Mapping[str, JSON]
    reason: str = ""
    fence: int | None = None


@dataclass(frozen=True)
class Entry:
    """One entry as it stands in the store; ``hash`` is the SHA-256 of its bytes, ``at`` ISO 8601 in UTC."""

    number: int
    entry_id: str
    previous: str
    kind: str
    pipeline: str
    at: str
    actor: str
    reason: str
    fence: int | None
    data: Mapping[str, JSON]
    hash: str


@dataclass(frozen=True)
class Fold(Generic[S]):
    """How entries become a state: where it begins, and ``apply``, which raises Illegal."""

    initial: S
    apply: Callable[[S, Entry], S]

    def over(self, entries: Iterable[Entry], state: S | None = None) -> S:
        """The state after *entries*, which follow on *state* (default: the initial one); illegal ones are ignored."""
        now = self.initial if state is None else state
        for entry in entries:
            try:
                now = self.apply(now, entry)
            except Illegal:
                continue
        return now


@dataclass(frozen=True)
class Verification:
    """What a whole check of one journal found; ``problems`` is empty if every entry holds."""

    pipeline: str
    entries: int
    head: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


@dataclass(frozen=True)
class _Seen(Generic[S]):
    number: int
    hash: str
    state: S


def utc_now() -> datetime:
    """The present time, in UTC."""
    return datetime.now(UTC)


def entry_key(pipeline: str, number: int) -> str:
    """The store's key of one entry."""
    return f"journal/{pipeline}/{number:012d}.json"


def head_key(pipeline: str) -> str:
    """The store's key of the hint {number, hash} that is overwritten after each entry: what replicas poll."""
    return f"heads/{pipeline}"


class Journal(Generic[S]):
    """One pipeline's journal, folded to a state of type S.

    Args:
        store: Where it is kept.
        pipeline: Its name, ``[a-z][a-z0-9_-]{0,62}``.
        fold: How its entries become a state.
        actor: Who writes.
        clock: Gives the time that entries bear; nothing is decided by it.

    Raises:
        ConfigError: *pipeline* isn't a name.
    """

    def __init__(
        self, store: Store, pipeline: str, *, fold: Fold[S], actor: str, clock: Clock = utc_now
    ) -> None:
        if not _NAME.fullmatch(pipeline):
            raise ConfigError(
                f"{pipeline!r} can't be a pipeline's name; expected a small letter, then up to 62 small letters, "
                "digits, '-' or '_'.",
                pipeline=pipeline,
            )
        self.store = store
        self.pipeline = pipeline
        self.fold = fold
        self.actor = actor
        self._clock = clock
        self._seen = _Seen(0, ORIGIN, fold.initial)

    def read(self) -> tuple[list[Entry], S]:
        """Read the whole journal and check its chain.

        Returns:
            Every entry in order, and the state after the last.

        Raises:
            JournalTampered: An entry was changed, removed, inserted or cut off.
            StorageError: The store can't be read.
        """
        entries = self.read_from(0, ORIGIN)
        last = entries[-1].hash if entries else ORIGIN
        state = self.fold.over(entries)
        self._seen = _Seen(len(entries), last, state)
        return entries, state

    def read_from(self, number: int, last_hash: str) -> list[Entry]:
        """Read what follows entry *number*, which the caller saw with *last_hash* (0 and ORIGIN: everything).

        Raises:
            JournalTampered: The journal is shorter than, or differs from, what the caller saw; or its chain breaks.
            StorageError: The store can't be read.
        """
        head = self._read_head()
        self._check_seen(number, last_hash)
        entries = list(self._follow(number, last_hash))
        self._check_head(head, number, last_hash, entries)
        return entries

    def append(self, decide: Callable[[S], Draft]) -> tuple[Entry, S]:
        """Write the entry that *decide* wants in the present state, deciding again whenever someone else was first.

        Args:
            decide: Pure; called with each newer state until its entry is written. May raise Conflict or ConfigError.

        Returns:
            The entry as written, and the state after it.

        Raises:
            Conflict: The entry isn't legal in the state it would follow; nothing was written.
            JournalTampered: As for ``read``.
            StorageError: The store can't be read or written.
        """
        unclear = 0
        while True:
            seen = self._catch_up()
            draft = decide(seen.state)
            body = self._encode(draft, seen)
            entry = _parse(body)
            state = self._apply_or_refuse(seen.state, entry)
            if self._is_written(entry, body):
                failpoint("journal-before-head")
                self._raise_head(entry.number, entry.hash)
                failpoint("journal-after-head")
                self._seen = _Seen(entry.number, entry.hash, state)
                return entry, state
            unclear += self.store.get(entry_key(self.pipeline, entry.number)) is None
            if unclear >= _UNCLEAR_TRIES:
                raise StorageError(
                    f"Entry {entry.number} of the journal of {self.pipeline} was neither written nor taken by "
                    f"someone else, {unclear} times; look at the store at {self.store.where}.",
                    pipeline=self.pipeline,
                )

    def verify(self) -> Verification:
        """Check every entry, the list of keys, the head hint and the legality of each entry; changes nothing.

        Raises:
            StorageError: The store can't be read.
        """
        from evertrain.verification import verify_journal

        return verify_journal(self)

    def _catch_up(self) -> _Seen[S]:
        seen = self._seen
        entries = self.read_from(seen.number, seen.hash)
        if entries:
            seen = _Seen(entries[-1].number, entries[-1].hash, self.fold.over(entries, seen.state))
            self._seen = seen
        return seen
