"""Owns a pipeline's journal: each entry is at once state change, audit record and compare-and-set."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Generic, TypeAlias, TypeVar

from evertrain.canonical import canonical_json
from evertrain.errors import ConfigError, Conflict, JournalTampered, StorageError, StorageUnavailable
from evertrain.failpoints import failpoint
from evertrain.journal.chain import (
    JSON,
    ORIGIN,
    Draft,
    Entry,
    Fold,
    Head,
    Illegal,
    encode_entry,
    entry_key,
    find_break,
    hash_of,
    head_key,
    parse_entry,
    parse_head,
)
from evertrain.journal.checkpoints import (
    EVERY_ENTRIES,
    Position,
    checkpoint_key,
    encode_checkpoint,
    read_checkpoint,
)
from evertrain.journal.verification import Verification, verify_chain
from evertrain.storage import Store

__all__ = [
    "JSON",
    "ORIGIN",
    "Draft",
    "Entry",
    "Fold",
    "Head",
    "Illegal",
    "Journal",
    "Position",
    "Verification",
    "head_key",
]

S = TypeVar("S")
Clock: TypeAlias = Callable[[], datetime]

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_UNCLEAR_TRIES = 5


def utc_now() -> datetime:
    """The present time, in UTC."""
    return datetime.now(UTC)


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
                f"{pipeline!r} can't be a pipeline's name; expected a small letter, then up to 62 small "
                "letters, digits, '-' or '_'.",
                pipeline=pipeline,
            )
        self.store = store
        self.pipeline = pipeline
        self.fold = fold
        self.actor = actor
        self._clock = clock
        self._seen = self._origin = Position(0, ORIGIN, fold.initial)
        self._due: Position[S] | None = None

    def read(self) -> tuple[list[Entry], S]:
        """Read the journal afresh, from its newest checkpoint on, and check the chain from there.

        Returns:
            The entries after the checkpoint (all of them in a journal of under 500; always all:
            ``read_from(0, ORIGIN)``), and the state after the last.

        Raises:
            JournalTampered: An entry was changed, removed, inserted or cut off.
            StorageError: The store can't be read.
        """
        start = self._newest_checkpoint()
        entries = self.read_from(start.number, start.hash)
        return entries, self._pass(start, entries).state

    def catch_up(self, see: Callable[[S, Entry], None] = lambda _state, _entry: None) -> Position[S]:
        """Read what was added since this object last read or wrote; at first from the newest checkpoint on.

        Args:
            see: Told of each entry that is read, with the state before it; it must not raise.

        Raises:
            JournalTampered: As for ``read_from``.
            StorageError: The store can't be read.
        """
        seen = self._seen if self._seen.number else self._newest_checkpoint()
        return self._pass(seen, self.read_from(seen.number, seen.hash), see)

    def read_from(self, number: int, last_hash: str) -> list[Entry]:
        """Read what follows entry *number*, which the caller saw with *last_hash* (0 and ORIGIN: everything).

        Raises:
            JournalTampered: The journal is not the one that the caller saw, is shorter, or its chain breaks.
            StorageError: The store can't be read.
        """
        # The head is read before the entries: those that it names were there by then.
        head = self._read_head()
        if number and self._hash_at(number) != last_hash:
            raise self._tampered(f"entry {number} is no longer the one that was read before")
        entries = list(self._follow(number, last_hash))
        self._check_head(head, {number: last_hash} | {entry.number: entry.hash for entry in entries})
        return entries

    def append(self, decide: Callable[[S], Draft]) -> tuple[Entry, S]:
        """Write the entry that *decide* wants in the present state; decide again if someone else was first.

        Args:
            decide: Pure; called with each newer state until its entry is written. May raise our errors.

        Returns:
            The entry as written, and the state after it.

        Raises:
            Conflict: The entry isn't legal in the state that it would follow; nothing was written.
            JournalTampered: As for ``read``.
            StorageError: The store can't be read or written.
        """
        while True:
            seen = self.catch_up()
            entry = self._sign(decide(seen.state), seen)
            state = self._apply_or_refuse(seen.state, entry)
            # First, so that the head never lags by more than one entry: without it a cut tail would not show.
            self._raise_head(seen.number, seen.hash)
            # Who lost decides again: each loss is someone else's progress.
            if self._is_written(entry):
                self._reach(Position(entry.number, entry.hash, state))
                self._announce(entry)
                return entry, state

    def verify(self) -> Verification:
        """Check the whole journal, list of keys and legality included; changes nothing.

        Raises:
            StorageError: The store can't be read.
        """
        return verify_chain(self.store, self.pipeline, self.fold)

    def _newest_checkpoint(self) -> Position[S]:
        head = self._read_head()
        if head is None or self.fold.codec is None:
            return self._origin
        found = read_checkpoint(self.store, self.pipeline, head.number, self.fold.codec)
        return found or self._origin

    def _pass(
        self,
        position: Position[S],
        entries: list[Entry],
        see: Callable[[S, Entry], None] = lambda _state, _entry: None,
    ) -> Position[S]:
        for entry in entries:
            see(position.state, entry)
            position = Position(entry.number, entry.hash, self.fold.over((entry,), position.state))
            self._reach(position)
        self._seen = position
        return position

    def _reach(self, position: Position[S]) -> None:
        self._seen = position
        # Also where someone else should have kept it: it may have been killed before, or had other rules.
        if position.number % EVERY_ENTRIES == 0:
            self._due = position

    def _sign(self, draft: Draft, seen: Position[S]) -> Entry:
        entry = Entry(
            number=seen.number + 1,
            entry_id=uuid.uuid4().hex,
            previous=seen.hash,
            kind=draft.kind,
            pipeline=self.pipeline,
            at=self._clock().astimezone(UTC).isoformat(timespec="microseconds"),
            actor=_clean(self.actor),
            reason=_clean(draft.reason),
            fence=draft.fence,
            data=draft.data,
            hash="",
        )
        return parse_entry(encode_entry(entry))

    def _apply_or_refuse(self, state: S, entry: Entry) -> S:
        try:
            return self.fold.apply(state, entry)
        except Illegal as verdict:
            raise Conflict(
                f"Can't write {entry.kind} to the journal of {self.pipeline}: {verdict}. "
                "Look at `evertrain audit show` and decide again.",
                pipeline=self.pipeline,
                kind=entry.kind,
            ) from verdict

    def _is_written(self, entry: Entry) -> bool:
        """Whether *entry* is the one that stands under its number.

        While nobody's does, the same bytes are sent again: a late arrival of the first is no second entry.
        """
        key, body = entry_key(self.pipeline, entry.number), encode_entry(entry)
        for _ in range(_UNCLEAR_TRIES):
            if self._is_put(key, body):
                return True
            # Where the answer was lost, or a client tried twice by itself, what is stored tells who won.
            found = self.store.get(key)
            if found is not None:
                return found == body
        raise StorageUnavailable(
            f"The journal of {self.pipeline} took neither entry {entry.number} nor someone else's, "
            f"{_UNCLEAR_TRIES} times; look at the store {self.store.where}. It may still arrive: look at "
            f"`evertrain audit show {self.pipeline}` before you try again.",
            pipeline=self.pipeline,
        )

    def _is_put(self, key: str, body: bytes) -> bool:
        try:
            return self.store.put_if_absent(key, body)
        except StorageUnavailable as cause:
            _log.warning("no clear answer to the write of %s: %s", key, cause)
            return False

    def _announce(self, entry: Entry) -> None:
        failpoint("journal-before-head")
        try:
            self._raise_head(entry.number, entry.hash)
        except StorageError as cause:
            # The entry stands whatever becomes of its hint, and the next writer raises the head first.
            _log.warning(
                "entry %d of %s stands, its head hint does not: %s", entry.number, self.pipeline, cause
            )
        failpoint("journal-after-head")
        self._keep_checkpoint()

    def _keep_checkpoint(self) -> None:
        due, codec = self._due, self.fold.codec
        if due is None or codec is None:
            return
        try:
            self.store.put(checkpoint_key(self.pipeline, due.number), encode_checkpoint(due, codec))
        except StorageError as cause:
            _log.warning("no checkpoint after entry %d of %s: %s", due.number, self.pipeline, cause)
        self._due = None

    def _follow(self, number: int, last_hash: str) -> Iterator[Entry]:
        while (body := self.store.get(entry_key(self.pipeline, number + 1))) is not None:
            number += 1
            try:
                entry = parse_entry(body)
            except ValueError as cause:
                raise self._tampered(f"entry {number} can't be read: {cause}") from cause
            broken = find_break(entry, self.pipeline, number, last_hash)
            if broken:
                raise self._tampered(broken)
            yield entry
            last_hash = entry.hash

    def _hash_at(self, number: int) -> str | None:
        body = self.store.get(entry_key(self.pipeline, number))
        return None if body is None else hash_of(body)

    def _read_head(self) -> Head | None:
        body = self.store.get(head_key(self.pipeline))
        try:
            return None if body is None else parse_head(body)
        except ValueError as cause:
            raise self._tampered(f"the head hint can't be read: {cause}") from cause

    def _raise_head(self, number: int, last_hash: str) -> None:
        head = self._read_head()
        if number > (head.number if head else 0):
            body = canonical_json({"number": number, "hash": last_hash})
            self.store.put(head_key(self.pipeline), body)

    def _check_head(self, head: Head | None, hashes: dict[int, str]) -> None:
        last = max(hashes)
        if head is None:
            # Someone may have begun the journal since the head was looked for.
            if last > 1 and self._read_head() is None:
                raise self._tampered("its head hint was removed")
        elif head.number > last:
            raise self._tampered(f"the tail was cut: its head names entry {head.number}, the last is {last}")
        elif hashes.get(head.number, head.hash) != head.hash:
            raise self._tampered(f"entry {head.number} isn't the one that its head names")

    def _tampered(self, what: str) -> JournalTampered:
        return JournalTampered(
            f"The journal of {self.pipeline} was tampered with: {what}. Run `evertrain audit verify "
            f"{self.pipeline}` for all that is wrong, and restore the store {self.store.where} from a copy.",
            pipeline=self.pipeline,
        )


def _clean(text: str) -> str:
    # What comes from the command line or the operating system may hold lone surrogates; UTF-8 has none.
    return text.encode("utf-8", "replace").decode()
