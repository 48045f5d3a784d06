"""Owns the whole check of one journal: keys, links, head hint, the legality of each entry, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from evertrain.journal.chain import (
    ORIGIN,
    Codec,
    Entry,
    Fold,
    Illegal,
    entry_key,
    find_break,
    hash_of,
    head_key,
    parse_entry,
    parse_head,
)
from evertrain.journal.checkpoints import EVERY_ENTRIES, Position, checkpoint_key, parse_checkpoint
from evertrain.storage import Store

S = TypeVar("S")
_FILE = re.compile(r"(\d{12})\.json")


@dataclass(frozen=True)
class Verification:
    """What a whole check of one journal found.

    Attributes:
        pipeline: Whose journal it is.
        entries: How many entries were found.
        head: The hash of the last one; 64 zeros if there is none.
        problems: One sentence for each; empty if everything holds.
    """

    pipeline: str
    entries: int
    head: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify_chain(store: Store, pipeline: str, fold: Fold[S]) -> Verification:
    """Check the journal of *pipeline* from end to end; changes nothing.

    Raises:
        StorageError: The store can't be read.
    """
    head = store.get(head_key(pipeline))
    numbers, problems = _list_numbers(store, pipeline)
    # Read one by one: a list taken while entries are added may lack one that the store has.
    last = max(numbers, default=0)
    bodies = {number: store.get(entry_key(pipeline, number)) for number in range(1, last + 1)}
    present = {number: body for number, body in bodies.items() if body is not None}
    problems += [f"entry {number} is missing" for number in bodies if number not in present]
    entries: list[Entry] = []
    for number, body in present.items():
        entry, problem = _check_link(pipeline, number, body, _hash_before(number, present))
        problems += [problem] if problem else []
        entries += [entry] if entry else []
    problems += _check_head(head, present)
    # Only a whole chain has states that a checkpoint can be held against.
    sound = not problems
    positions, illegal = _fold_all(fold, entries)
    problems += illegal
    problems += _check_checkpoints(store, pipeline, fold, positions) if sound else []
    last_hash = hash_of(present[max(present)]) if present else ORIGIN
    return Verification(pipeline, len(present), last_hash, tuple(problems))


def _list_numbers(store: Store, pipeline: str) -> tuple[list[int], list[str]]:
    numbers, problems = [], []
    prefix = f"journal/{pipeline}/"
    for key in store.list(prefix):
        match = _FILE.fullmatch(key.removeprefix(prefix))
        if match and int(match[1]) > 0:
            numbers.append(int(match[1]))
        else:
            problems.append(f"{key} isn't the key of an entry")
    return numbers, problems


def _hash_before(number: int, present: dict[int, bytes]) -> str | None:
    if number == 1:
        return ORIGIN
    before = present.get(number - 1)
    return None if before is None else hash_of(before)


def _check_link(
    pipeline: str, number: int, body: bytes, previous: str | None
) -> tuple[Entry | None, str | None]:
    try:
        entry = parse_entry(body)
    except ValueError as cause:
        return None, f"entry {number} can't be read: {cause}"
    return entry, find_break(entry, pipeline, number, previous)


def _check_head(body: bytes | None, present: dict[int, bytes]) -> Iterator[str]:
    last = max(present, default=0)
    if body is None:
        if last > 1:
            yield "the head hint was removed"
        return
    try:
        head = parse_head(body)
    except ValueError as cause:
        yield f"the head hint can't be read: {cause}"
        return
    if head.number > last:
        yield f"the tail was cut: the head hint names entry {head.number}, the last one found is {last}"
    elif head.number in present and head.hash != hash_of(present[head.number]):
        yield f"entry {head.number} isn't the one that the head hint names"


def _fold_all(fold: Fold[S], entries: list[Entry]) -> tuple[list[Position[S]], list[str]]:
    """The position after each entry that has a checkpoint, and a sentence for each that isn't legal."""
    positions: list[Position[S]] = []
    problems = []
    state = fold.initial
    for entry in entries:
        try:
            state = fold.apply(state, entry)
        except Illegal as verdict:
            problems.append(f"entry {entry.number} ({entry.kind}) isn't legal and is ignored: {verdict}")
        if entry.number % EVERY_ENTRIES == 0:
            positions.append(Position(entry.number, entry.hash, state))
    return positions, problems


def _check_checkpoints(
    store: Store, pipeline: str, fold: Fold[S], positions: list[Position[S]]
) -> Iterator[str]:
    if fold.codec is None:
        return
    expected = {checkpoint_key(pipeline, position.number): position for position in positions}
    for key in store.list(f"checkpoints/{pipeline}/"):
        body = store.get(key)
        if key not in expected:
            yield f"{key} is the checkpoint of no entry: the tail was cut, or it was put there"
        elif body is not None:
            yield from _check_checkpoint(key, body, fold.codec, expected[key])


def _check_checkpoint(key: str, body: bytes, codec: Codec[S], expected: Position[S]) -> Iterator[str]:
    try:
        found = parse_checkpoint(body, expected.number, codec)
    except ValueError as cause:
        yield f"{key} can't be read: {cause}"
        return
    if found is not None and found != expected:
        yield f"{key} doesn't hold the state after entry {expected.number}"
