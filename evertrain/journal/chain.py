"""Owns the form of journal entries: their bytes and keys, and what makes each follow on the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, TypeAlias, TypeVar

from evertrain.canonical import canonical_json

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
S = TypeVar("S")

ORIGIN = "0" * 64
_TEXTS = ("entry_id", "previous", "kind", "pipeline", "at", "actor", "reason")


class Illegal(Exception):
    """A fold's verdict: this entry isn't legal in the state before it, and changes nothing."""


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
class Codec(Generic[S]):
    """How a state is spelled in JSON, for checkpoints.

    Attributes:
        rules: Names how entries become a state: one that other rules made is of no use.
        encode: Gives what ``decode`` reads.
        decode: Raises ValueError.
    """

    rules: str
    encode: Callable[[S], JSON]
    decode: Callable[[JSON], S]


@dataclass(frozen=True)
class Fold(Generic[S]):
    """How entries become a state: where it begins, and ``apply``, which raises Illegal.

    Without a *codec* no checkpoints are kept: the journal is read from its first entry.
    """

    initial: S
    apply: Callable[[S, Entry], S]
    codec: Codec[S] | None = None

    def over(self, entries: Iterable[Entry], state: S | None = None) -> S:
        """The state after *entries*, from *state* (default: the initial one) on; illegal ones are ignored."""
        now = self.initial if state is None else state
        for entry in entries:
            try:
                now = self.apply(now, entry)
            except Illegal:
                continue
        return now


@dataclass(frozen=True)
class Head:
    """The hint that is overwritten after each entry: it may lag behind the journal, never lead it."""

    number: int
    hash: str


def entry_key(pipeline: str, number: int) -> str:
    """The store's key of one entry."""
    return f"journal/{pipeline}/{number:012d}.json"


def head_key(pipeline: str) -> str:
    """The store's key of a journal's Head: what replicas poll."""
    return f"heads/{pipeline}"


def hash_of(body: bytes) -> str:
    """SHA-256 of an entry's bytes, in hex."""
    return hashlib.sha256(body).hexdigest()


def encode_entry(entry: Entry) -> bytes:
    """The bytes of *entry*; its own ``hash`` isn't among them."""
    return canonical_json({name: value for name, value in asdict(entry).items() if name != "hash"})


def parse_entry(body: bytes) -> Entry:
    """Read an entry from its bytes.

    Raises:
        ValueError: They aren't exactly the canonical bytes of an entry.
    """
    found = parse_object(body, {field.name for field in fields(Entry)} - {"hash"})
    if not (
        _is_number(found["number"])
        and (found["fence"] is None or _is_number(found["fence"]))
        and all(isinstance(found[name], str) for name in _TEXTS)
        and isinstance(found["data"], dict)
    ):
        raise ValueError("a field has the wrong type")
    return Entry(**found, hash=hash_of(body))


def parse_head(body: bytes) -> Head:
    """Read a head hint from its bytes.

    Raises:
        ValueError: They aren't exactly the canonical bytes of a head.
    """
    found = parse_object(body, {"number", "hash"})
    if not (_is_number(found["number"]) and isinstance(found["hash"], str)):
        raise ValueError("a field has the wrong type")
    return Head(**found)


def find_break(entry: Entry, pipeline: str, number: int, previous: str | None) -> str | None:
    """What keeps *entry* from being entry *number* after the one hashed *previous*; None if nothing does.

    Args:
        entry: The entry that was found.
        pipeline: Whose journal it was found in.
        number: The number under which it was found.
        previous: The hash of the entry before it; None if that isn't known.
    """
    if entry.number != number or entry.pipeline != pipeline:
        return f"entry {number} says that it is entry {entry.number} of {entry.pipeline}"
    if previous is not None and entry.previous != previous:
        return f"entry {number} doesn't follow on the entry before it: one of the two was changed or replaced"
    return None


def parse_object(body: bytes, names: set[str]) -> dict[str, Any]:
    """Read an object with exactly these fields.

    Raises:
        ValueError: *body* isn't the canonical bytes of one.
    """
    try:
        found = json.loads(body)
    except RecursionError as cause:
        raise ValueError("too deep") from cause
    if not isinstance(found, dict) or set(found) != names:
        raise ValueError(f"expected an object of {', '.join(sorted(names))}")
    if canonical_json(found) != body:
        raise ValueError("not in its canonical spelling")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
