"""Owns checkpoints: states kept beside a journal, so that nobody need read it from its first entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from evertrain.canonical import canonical_json
from evertrain.journal.chain import Codec, entry_key, hash_of, parse_object
from evertrain.storage import Store

S = TypeVar("S")
EVERY_ENTRIES = 500


@dataclass(frozen=True)
class Position(Generic[S]):
    """How far someone has read: the last entry's number and hash (0 and ORIGIN: none), the state after it."""

    number: int
    hash: str
    state: S


def checkpoint_key(pipeline: str, number: int) -> str:
    """The store's key of the state after entry *number*."""
    return f"checkpoints/{pipeline}/{number:012d}.json"


def encode_checkpoint(position: Position[S], codec: Codec[S]) -> bytes:
    """The bytes that ``parse_checkpoint`` reads."""
    spelled = {"number": position.number, "hash": position.hash, "rules": codec.rules}
    return canonical_json({**spelled, "state": codec.encode(position.state)})


def parse_checkpoint(body: bytes, number: int, codec: Codec[S]) -> Position[S] | None:
    """Read the checkpoint of entry *number*; None if it was made by other rules than *codec*'s.

    Raises:
        ValueError: These aren't the canonical bytes of that entry's checkpoint.
    """
    found = parse_object(body, {"number", "hash", "rules", "state"})
    if found["number"] != number or not isinstance(found["hash"], str):
        raise ValueError(f"it isn't the checkpoint of entry {number}")
    if found["rules"] != codec.rules:
        return None
    return Position(number, found["hash"], codec.decode(found["state"]))


def read_checkpoint(store: Store, pipeline: str, last: int, codec: Codec[S]) -> Position[S] | None:
    """The newest checkpoint of *pipeline* up to entry *last* that speaks of the entry that is there.

    Returns:
        None if there is none: one that is missing, broken or made by other rules is passed over.

    Raises:
        StorageError: The store can't be read.
    """
    for number in range(last - last % EVERY_ENTRIES, 0, -EVERY_ENTRIES):
        position = _read_one(store, pipeline, number, codec)
        entry = None if position is None else store.get(entry_key(pipeline, number))
        if position is not None and entry is not None and hash_of(entry) == position.hash:
            return position
    return None


def _read_one(store: Store, pipeline: str, number: int, codec: Codec[S]) -> Position[S] | None:
    body = store.get(checkpoint_key(pipeline, number))
    try:
        return None if body is None else parse_checkpoint(body, number, codec)
    except ValueError:
        # `verify` tells of it; here it only costs reading more entries.
        return None
