from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from evertrain.errors import ConfigError, Conflict, JournalTampered, StorageError, StorageUnavailable
from evertrain.journal import Journal
from evertrain.journal.chain import (
    ORIGIN,
    Draft,
    Entry,
    Fold,
    Illegal,
    encode_entry,
    entry_key,
    head_key,
    parse_entry,
)
from evertrain.storage import LocalStore

NOON = datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))


def add(total: int, entry: Entry) -> int:
    amount = entry.data["amount"]
    if not isinstance(amount, int) or total + amount < 0:
        raise Illegal(f"{total} and {amount} would be below zero")
    return total + amount


class FaultyStore(LocalStore):
    """Does what *faults* say, one for each put-if-absent, then works."""

    def __init__(self, root: Path, *faults: Callable[[LocalStore, str, bytes], bool]) -> None:
        super().__init__(root)
        self.faults = list(faults)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if self.faults:
            return self.faults.pop(0)(self, key, data)
        return super().put_if_absent(key, data)


def written_but_unanswered(store: LocalStore, key: str, data: bytes) -> bool:
    LocalStore(store.root).put_if_absent(key, data)
    raise StorageUnavailable("timeout")


def neither_written_nor_answered(store: LocalStore, key: str, data: bytes) -> bool:
    raise StorageUnavailable("timeout")


def written_then_refused(store: LocalStore, key: str, data: bytes) -> bool:
    """A client that tries again by itself meets its own first write."""
    LocalStore(store.root).put_if_absent(key, data)
    return False


def taken_by_another(store: LocalStore, key: str, data: bytes) -> bool:
    open_at(LocalStore(store.root), actor="other").append(plus(100))
    return LocalStore(store.root).put_if_absent(key, data)


def never(store: LocalStore, key: str, data: bytes) -> bool:
    return False


def open_at(store: LocalStore, actor: str = "me") -> Journal[int]:
    return Journal(store, "sums", fold=Fold(0, add), actor=actor, clock=lambda: NOON)


def plus(amount: int) -> Callable[[int], Draft]:
    return lambda _: Draft("added", {"amount": amount}, "because")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def four(store: LocalStore) -> LocalStore:
    journal = open_at(store)
    for amount in (1, 2, 3, 4):
        journal.append(plus(amount))
    return store


def test_an_append_tells_who_what_why_and_when(store: LocalStore) -> None:
    """The entry bears the draft, its writer and the time in UTC, and the state is the one after it."""
    entry, total = open_at(store).append(plus(5))
    assert (entry.number, entry.previous, entry.actor, entry.reason) == (1, ORIGIN, "me", "because")
    assert entry.at == "2024-05-01T12:00:00.000000+00:00"
    assert entry.data == {"amount": 5}
    assert total == 5
    assert open_at(store).read() == ([entry], 5)


def test_entries_follow_on_each_other_whoever_writes(store: LocalStore) -> None:
    """Two writers that know of each other only by the store make one chain."""
    one, other = open_at(store), open_at(store, "other")
    for amount in range(1, 6):
        one.append(plus(amount))
        other.append(plus(amount))
    entries, total = one.read()
    assert [entry.number for entry in entries] == list(range(1, 11))
    assert [entry.previous for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]
    assert total == 30
    assert one.verify().holds


def test_the_head_names_the_last_entry(store: LocalStore) -> None:
    """After an append the hint that replicas poll has its number and hash."""
    journal = open_at(store)
    journal.append(plus(1))
    entry, _ = journal.append(plus(2))
    assert store.get(head_key("sums")) == f'{{"hash":"{entry.hash}","number":2}}'.encode()


def test_an_illegal_entry_is_refused_before_it_is_written(four: LocalStore) -> None:
    """What the fold would ignore is a Conflict with the fold's own reason, and nothing is written."""
    with pytest.raises(Conflict, match=r"10 and -11 would be below zero"):
        open_at(four).append(plus(-11))
    assert len(open_at(four).read()[0]) == 4


def test_a_decision_may_refuse(four: LocalStore) -> None:
    """A Conflict that the decision raises reaches the caller."""

    def refuse(total: int) -> Draft:
        raise Conflict(f"no, at {total}")

    with pytest.raises(Conflict, match="no, at 10"):
        open_at(four).append(refuse)


def test_a_loser_decides_again_in_the_newer_state(tmp_path: Path) -> None:
    """Whoever lost the number sees the winner's entry before deciding again."""
    seen: list[int] = []

    def decide(total: int) -> Draft:
        seen.append(total)
        return Draft("added", {"amount": 1})

    entry, total = open_at(FaultyStore(tmp_path, taken_by_another)).append(decide)
    assert seen == [0, 100]
    assert (entry.number, total) == (2, 101)


@pytest.mark.parametrize("fault", [written_but_unanswered, written_then_refused])
def test_an_own_entry_found_in_the_store_means_won(tmp_path: Path, fault) -> None:
    """Where the answer was lost or misleading, the entry is written once and not twice."""
    entry, total = open_at(FaultyStore(tmp_path, fault)).append(plus(5))
    assert (entry.number, total) == (1, 5)
    assert open_at(LocalStore(tmp_path)).read() == ([entry], 5)


def test_an_entry_that_did_not_arrive_is_tried_again(tmp_path: Path) -> None:
    """A lost request costs a try, no entry."""
    store = FaultyStore(tmp_path, neither_written_nor_answered, neither_written_nor_answered)
    assert open_at(store).append(plus(5))[1] == 5


@pytest.mark.parametrize("fault", [neither_written_nor_answered, never])
def test_a_store_that_never_answers_ends_in_an_error(tmp_path: Path, fault) -> None:
    """Tries end when neither this entry nor anybody else's lands."""
    with pytest.raises(StorageError, match="5 times"):
        open_at(FaultyStore(tmp_path, *[fault] * 20)).append(plus(5))


def test_a_head_that_can_not_be_written_fails_no_entry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The entry stands, the lagging hint is logged, and the next append raises it first."""

    class NoHeads(LocalStore):
        def put(self, key: str, data: bytes) -> None:
            raise StorageError("disk full")

    entry, _ = open_at(NoHeads(tmp_path)).append(plus(5))
    assert "disk full" in caplog.text
    assert open_at(LocalStore(tmp_path)).read() == ([entry], 5)
    with pytest.raises(StorageError, match="disk full"):
        open_at(NoHeads(tmp_path)).append(plus(5))
    second, _ = open_at(LocalStore(tmp_path)).append(plus(5))
    assert second.number == 2


def test_a_stale_head_is_no_tampering(four: LocalStore) -> None:
    """A hint that lags, as after a kill, is read past and raised by the next append."""
    first = parse_entry(four.get(entry_key("sums", 1)) or b"")
    four.put(head_key("sums"), f'{{"hash":"{first.hash}","number":1}}'.encode())
    assert open_at(four).read()[1] == 10
    assert open_at(four).verify().holds
    open_at(four).append(plus(1))
    assert b'"number":5' in (four.get(head_key("sums")) or b"")


def test_a_replica_reads_on_from_what_it_saw(four: LocalStore) -> None:
    """From a known number and hash only what follows is read; from the beginning, everything."""
    entries, _ = open_at(four).read()
    assert open_at(four).read_from(2, entries[1].hash) == entries[2:]
    assert open_at(four).read_from(4, entries[3].hash) == []
    assert open_at(four).read_from(0, ORIGIN) == entries


def test_a_replica_refuses_a_shorter_or_different_journal(four: LocalStore) -> None:
    """What was seen once must still be there: a free witness against a cut tail."""
    entries, _ = open_at(four).read()
    with pytest.raises(JournalTampered, match="entry 3 is no longer"):
        open_at(four).read_from(3, entries[0].hash)
    four.delete(entry_key("sums", 4))
    four.delete(head_key("sums"))
    with pytest.raises(JournalTampered, match="entry 4 is no longer"):
        open_at(four).read_from(4, entries[3].hash)


def cut_tail(store: LocalStore) -> None:
    store.delete(entry_key("sums", 4))


def remove_middle(store: LocalStore) -> None:
    store.delete(entry_key("sums", 2))


def change_middle(store: LocalStore) -> None:
    key = entry_key("sums", 2)
    store.put(key, (store.get(key) or b"").replace(b'"amount":2', b'"amount":9'))


def change_last(store: LocalStore) -> None:
    key = entry_key("sums", 4)
    store.put(key, (store.get(key) or b"").replace(b'"amount":4', b'"amount":9'))


def swap(store: LocalStore) -> None:
    two, three = (store.get(entry_key("sums", number)) or b"" for number in (2, 3))
    store.put(entry_key("sums", 2), three)
    store.put(entry_key("sums", 3), two)


def replay(store: LocalStore) -> None:
    store.put(entry_key("sums", 5), store.get(entry_key("sums", 4)) or b"")


def garble(store: LocalStore) -> None:
    store.put(entry_key("sums", 3), b"{")


def remove_head(store: LocalStore) -> None:
    store.delete(head_key("sums"))


def garble_head(store: LocalStore) -> None:
    store.put(head_key("sums"), b"{}")


TAMPERS = [
    (cut_tail, "tail was cut"),
    (remove_middle, "tail was cut|entry 2 is missing"),
    (change_middle, "entry 3 doesn't follow"),
    (change_last, "entry 4 isn't the one"),
    (swap, "entry 2 says that it is entry 3"),
    (replay, "entry 5 says that it is entry 4"),
    (garble, "entry 3 can't be read"),
    (remove_head, "head hint was removed"),
    (garble_head, "head hint can't be read"),
]


@pytest.mark.parametrize(("tamper", "found"), TAMPERS)
def test_tampering_is_found_by_read_append_and_verify(four: LocalStore, tamper, found: str) -> None:
    """Each way to change the past is named by all three, with exit 12."""
    fresh = open_at(four)
    tamper(four)
    with pytest.raises(JournalTampered, match=found) as caught:
        fresh.read()
    assert caught.value.exit_code == 12
    with pytest.raises(JournalTampered, match=found):
        fresh.append(plus(1))
    verification = fresh.verify()
    assert not verification.holds
    assert any(re.search(found, problem) for problem in verification.problems)


def test_a_changed_entry_is_found_even_where_the_reader_had_read_it(four: LocalStore) -> None:
    """A long-lived journal that reads again checks everything again."""
    journal = open_at(four)
    journal.read()
    change_middle(four)
    with pytest.raises(JournalTampered, match="entry 3 doesn't follow"):
        journal.read()


def test_a_foreign_illegal_entry_changes_nothing(four: LocalStore) -> None:
    """An entry that only the chain accepts is ignored by the fold and by those who append after it."""
    last = open_at(four).read()[0][-1]
    forged = Entry(5, "x", last.hash, "added", "sums", "then", "late", "", None, {"amount": -99}, "")
    four.put_if_absent(entry_key("sums", 5), encode_entry(forged))
    entries, total = open_at(four).read()
    assert (len(entries), total) == (5, 10)
    assert open_at(four).append(plus(1))[1] == 11
    assert any("entry 5 (added) isn't legal" in problem for problem in open_at(four).verify().problems)


@pytest.mark.parametrize("name", ["", "Flights", "../x", "a/b", "1a", "a" * 64, "a\n"])
def test_what_is_no_pipeline_has_no_journal(store: LocalStore, name: str) -> None:
    """A name that no pipeline can bear is refused, exit 2."""
    with pytest.raises(ConfigError, match="can't be a pipeline's name"):
        Journal(store, name, fold=Fold(0, add), actor="me")


def test_text_that_utf8_can_not_spell_is_written_all_the_same(store: LocalStore) -> None:
    """Lone surrogates from a command line become question marks."""
    journal = Journal(store, "sums", fold=Fold(0, add), actor="m\udc80e")
    entry, _ = journal.append(lambda _: Draft("added", {"amount": 1}, "w\udcffhy"))
    assert (entry.actor, entry.reason) == ("m?e", "w?hy")
    assert datetime.fromisoformat(entry.at).utcoffset() == timedelta(0)
    assert datetime.fromisoformat(entry.at) <= datetime.now(UTC)
