from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.errors import JournalTampered
from evertrain.journal import Journal
from evertrain.journal.chain import Draft, Fold, entry_key, head_key
from evertrain.storage import LocalStore

ENTRIES = 12
Bodies = list[bytes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    store = LocalStore(tmp_path_factory.mktemp("tampered"))
    for number in range(ENTRIES):
        open_at(store).append(
            lambda _, number=number: Draft("noted", {"number": number}, "why", number or None)
        )
    return store


def open_at(store: LocalStore) -> Journal[int]:
    return Journal(store, "p", fold=Fold(0, lambda count, entry: count + 1), actor="me")


@dataclass(frozen=True)
class Mutation:
    """One change to entries or head, of the kinds that a disk, a hand or a program may make."""

    kind: str
    one: int
    other: int
    place: int
    bit: int

    def flip(self, body: bytes) -> bytes:
        at = self.place % len(body)
        return body[:at] + bytes([body[at] ^ 1 << self.bit]) + body[at + 1 :]

    def entries(self, bodies: Bodies) -> Bodies:
        one, other = self.one, self.other
        before, mine, after = bodies[:one], bodies[one], bodies[one + 1 :]
        return {
            "flip head": lambda: bodies,
            "flip": lambda: [*before, self.flip(mine), *after],
            "shorten": lambda: [*before, mine[: self.place % len(mine)], *after],
            "delete": lambda: before + after,
            "cut": lambda: before,
            "insert": lambda: [*before, bodies[other], mine, *after],
            "copy over": lambda: [*before, bodies[other], *after],
            "replay": lambda: [*bodies, mine],
            "swap": lambda: [
                bodies[{one: other, other: one}.get(number, number)] for number in range(len(bodies))
            ],
        }[self.kind]()

    def head(self, body: bytes) -> bytes:
        return self.flip(body) if self.kind == "flip head" else body


KINDS = ["flip", "flip head", "shorten", "delete", "cut", "insert", "copy over", "replay", "swap"]
PAIRS = st.tuples(st.integers(0, ENTRIES - 1), st.integers(0, ENTRIES - 1)).filter(
    lambda pair: pair[0] != pair[1]
)
MUTATIONS = st.builds(
    lambda kind, pair, place, bit: Mutation(kind, *pair, place, bit),
    st.sampled_from(KINDS),
    PAIRS,
    st.integers(0, 10_000),
    st.integers(0, 7),
)


@settings(max_examples=300)
@given(mutation=MUTATIONS)
def test_any_change_of_the_past_is_found(store: LocalStore, mutation: Mutation) -> None:
    """Flips, deletions, insertions, swaps, copies, cuts and replays are found by reading and by verify."""
    bodies = [store.get(entry_key("p", number)) or b"" for number in range(1, ENTRIES + 1)]
    changed = mutation.entries(bodies)
    spoilt = MemoryStore({entry_key("p", number): body for number, body in enumerate(changed, 1)})
    spoilt.held[head_key("p")] = mutation.head(store.get(head_key("p")) or b"")
    assert not open_at(spoilt).verify().holds
    with pytest.raises(JournalTampered):
        open_at(spoilt).read()


def test_the_unchanged_journal_holds(store: LocalStore) -> None:
    """The property above would be worth nothing if everything were found."""
    held = {key: store.get(key) or b"" for key in store.list("")}
    assert open_at(MemoryStore(held)).verify().holds
    assert len(open_at(MemoryStore(held)).read()[0]) == ENTRIES


class MemoryStore(LocalStore):
    """What is read comes from a dictionary."""

    def __init__(self, held: dict[str, bytes]) -> None:
        super().__init__(Path("/nowhere"))
        self.held = held

    def get(self, key: str) -> bytes | None:
        return self.held.get(key)

    def list(self, prefix: str):
        return iter(sorted(key for key in self.held if key.startswith(prefix)))
