from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from evertrain.canonical import canonical_json
from evertrain.errors import JournalTampered, StorageError
from evertrain.journal import Journal, Position
from evertrain.journal.chain import ORIGIN, Codec, Draft, Entry, Fold, entry_key, head_key
from evertrain.journal.checkpoints import checkpoint_key, encode_checkpoint, parse_checkpoint

FIRST, SECOND = checkpoint_key("sums", 500), checkpoint_key("sums", 1000)


class Memory:
    """A store in memory that counts what is asked of it."""

    where = "memory"

    def __init__(self, held: dict[str, bytes] | None = None) -> None:
        self.held = dict(held or {})
        self.asked: Counter[str] = Counter()

    def get(self, key: str) -> bytes | None:
        self.asked[key] += 1
        return self.held.get(key)

    def put(self, key: str, data: bytes) -> None:
        self.asked[key] += 1
        self.held[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.asked[key] += 1
        return self.held.setdefault(key, data) is data

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.held if key.startswith(prefix)))


class NoCheckpoints(Memory):
    def put(self, key: str, data: bytes) -> None:
        if key.startswith("checkpoints/"):
            raise StorageError("no room")
        super().put(key, data)


def read_total(spelled: object) -> int:
    if not isinstance(spelled, int):
        raise ValueError("not a number")
    return spelled


def codec(rules: str = "sum") -> Codec[int]:
    return Codec(rules, lambda total: total, read_total)


def add(total: int, entry: Entry) -> int:
    return total + int(str(entry.data["amount"]))


def open_at(store: Memory, rules: str | None = "sum") -> Journal[int]:
    return Journal(store, "sums", fold=Fold(0, add, codec(rules) if rules else None), actor="me")


def plus(amount: int) -> Callable[[int], Draft]:
    return lambda _: Draft("added", {"amount": amount})


def grow(store: Memory, entries: int) -> Memory:
    journal = open_at(store)
    for _ in range(entries):
        journal.append(plus(1))
    store.asked.clear()
    return store


@pytest.fixture(scope="module")
def thousand() -> dict[str, bytes]:
    return grow(Memory(), 1010).held


@pytest.fixture
def store(thousand: dict[str, bytes]) -> Memory:
    return Memory(thousand)


def entries_read(store: Memory) -> list[int]:
    return sorted(int(key[-17:-5]) for key in store.asked if key.startswith("journal/"))


def test_a_reader_begins_at_the_newest_checkpoint(store: Memory) -> None:
    """Of 1,010 entries those from the thousandth on are read, and the state is that of all."""
    entries, total = open_at(store).read()
    assert total == 1010
    assert [entry.number for entry in entries] == list(range(1001, 1011))
    assert entries_read(store) == list(range(1000, 1012))
    position = open_at(store).catch_up()
    assert position == Position(1010, entries[-1].hash, 1010)


def test_what_was_read_is_read_on_from(store: Memory) -> None:
    """A journal that catches up twice reads the last entry and looks for the next."""
    journal = open_at(store)
    journal.catch_up()
    store.asked.clear()
    assert journal.catch_up().number == 1010
    assert entries_read(store) == [1010, 1011]


def test_the_whole_journal_can_still_be_read(store: Memory) -> None:
    """Who wants every entry reads from none."""
    assert len(open_at(store).read_from(0, ORIGIN)) == 1010


def test_an_append_costs_the_same_however_long_the_journal_is() -> None:
    """A fresh writer asks as much of the store at 5,010 entries as at 510."""
    asked = []
    for length in (510, 5010):
        store = grow(Memory(), length)
        open_at(store).append(plus(1))
        asked.append(store.asked.total())
    assert asked[0] == asked[1] < 30


def forge_hash(store: Memory) -> None:
    store.held[SECOND] = encode_checkpoint(Position(1000, "0" * 64, 7), codec())


def change_rules(store: Memory) -> None:
    found = parse_checkpoint(store.held[SECOND], 1000, codec())
    assert found is not None
    store.held[SECOND] = encode_checkpoint(found, codec("other"))


def garble(store: Memory) -> None:
    store.held[SECOND] = b"{"


def swap(store: Memory) -> None:
    store.held[SECOND] = store.held[FIRST]


def ill_type(store: Memory) -> None:
    store.held[SECOND] = store.held[SECOND].replace(b'"state":1000', b'"state":"x"')


def remove(store: Memory) -> None:
    del store.held[SECOND]


@pytest.mark.parametrize("spoil", [forge_hash, change_rules, garble, swap, ill_type, remove])
def test_a_checkpoint_that_is_of_no_use_costs_more_reading_and_is_written_again(
    store: Memory, spoil: Callable[[Memory], None]
) -> None:
    """The one before is used instead; the next writer puts a good one in its place."""
    good = store.held[SECOND]
    spoil(store)
    entries, total = open_at(store).read()
    assert (len(entries), total) == (510, 1010)
    assert open_at(store).append(plus(1))[1] == 1011
    assert store.held[SECOND] == good
    assert open_at(store).verify().holds


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (forge_hash, "doesn't hold the state after entry 1000"),
        (garble, "can't be read"),
        (swap, "can't be read"),
        (ill_type, "can't be read"),
    ],
)
def test_a_forged_checkpoint_is_reported(store: Memory, spoil: Callable[[Memory], None], found: str) -> None:
    """Verify trusts none, and names the one that is wrong."""
    spoil(store)
    (problem,) = open_at(store).verify().problems
    assert found in problem
    assert SECOND in problem


def test_a_forged_state_is_reported(store: Memory) -> None:
    """A checkpoint that names the right entry but another state is found by reading everything."""
    store.held[SECOND] = store.held[SECOND].replace(b'"state":1000', b'"state":9000')
    assert open_at(store).read()[1] == 9010
    assert "doesn't hold the state" in open_at(store).verify().problems[0]


@pytest.mark.parametrize("spoil", [change_rules, remove])
def test_a_missing_or_foreign_checkpoint_is_no_tampering(
    store: Memory, spoil: Callable[[Memory], None]
) -> None:
    """Another release of evertrain, or a kill, may have left it so."""
    spoil(store)
    assert open_at(store).verify().holds


def test_a_checkpoint_beyond_the_last_entry_tells_of_a_cut_tail(store: Memory) -> None:
    """Even where head and tail were cut together, the checkpoint remembers."""
    for number in range(1000, 1011):
        del store.held[entry_key("sums", number)]
    del store.held[head_key("sums")]
    last = open_at(store).verify()
    assert any("head hint was removed" in problem for problem in last.problems)
    head = {"number": 999, "hash": last.head}
    store.held[head_key("sums")] = canonical_json(head)
    (problem,) = open_at(store).verify().problems
    assert f"{SECOND} is the checkpoint of no entry: the tail was cut" in problem


def test_an_entry_changed_after_the_checkpoint_is_found(store: Memory) -> None:
    """The chain is checked from the checkpoint on, as it is from the first entry."""
    key = entry_key("sums", 1005)
    store.held[key] = store.held[key].replace(b'"amount":1', b'"amount":5')
    with pytest.raises(JournalTampered, match="entry 1006 doesn't follow"):
        open_at(store).read()


def test_a_checkpoint_that_can_not_be_written_fails_no_entry(
    thousand: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """The five hundredth entry stands, and the log says what is missing."""
    store = NoCheckpoints()
    grow(store, 500)
    assert "no checkpoint after entry 500 of sums: no room" in caplog.text
    assert open_at(store).read()[1] == 500


def test_a_fold_without_codec_keeps_no_checkpoints(store: Memory) -> None:
    """Such a journal is read from its first entry, and what lies beside it isn't judged."""
    store.held[SECOND] = b"{"
    journal = open_at(store, rules=None)
    assert len(journal.read()[0]) == 1010
    assert journal.verify().holds
    bare = Memory()
    other = open_at(bare, rules=None)
    for _ in range(500):
        other.append(plus(1))
    assert list(bare.list("checkpoints/")) == []
