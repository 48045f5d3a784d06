from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.journal import Journal
from evertrain.journal.chain import ORIGIN, Draft, Entry, Fold, entry_key, head_key
from evertrain.journal.verification import verify_chain
from evertrain.storage import LocalStore

COUNT = Fold(0, lambda count, entry: count + 1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    journal = Journal(LocalStore(tmp_path), "p", fold=COUNT, actor="me")
    for _ in range(5):
        journal.append(lambda count: Draft("noted", {"count": count}))
    return LocalStore(tmp_path)


def test_an_empty_journal_holds(tmp_path: Path) -> None:
    """No entry and no head is a pipeline that hasn't begun."""
    found = verify_chain(LocalStore(tmp_path), "p", COUNT)
    assert found.holds
    assert (found.entries, found.head) == (0, ORIGIN)


def test_a_whole_journal_holds(store: LocalStore) -> None:
    """Nothing is reported of a journal as it was written, and the head's hash is told."""
    found = verify_chain(store, "p", COUNT)
    assert found.problems == ()
    assert found.entries == 5
    assert found.head.encode() in (store.get(head_key("p")) or b"")


def test_all_problems_are_reported_at_once(store: LocalStore) -> None:
    """A gap, a garbled entry, a stray key and a lost head don't hide each other."""
    store.delete(entry_key("p", 2))
    store.put(entry_key("p", 4), b"{")
    store.put("journal/p/notes.txt", b"")
    store.put("journal/p/000000000000.json", b"")
    store.delete(head_key("p"))
    problems = verify_chain(store, "p", COUNT).problems
    assert [problem.split(":")[0] for problem in problems] == [
        "journal/p/000000000000.json isn't the key of an entry",
        "journal/p/notes.txt isn't the key of an entry",
        "entry 2 is missing",
        "entry 4 can't be read",
        "entry 5 doesn't follow on the entry before it",
        "the head hint was removed",
    ]


def test_a_lone_entry_without_a_head_holds(store: LocalStore) -> None:
    """A writer that was killed right after the first entry left no head; that is no tampering."""
    for number in (2, 3, 4, 5):
        store.delete(entry_key("p", number))
    store.delete(head_key("p"))
    assert verify_chain(store, "p", COUNT).holds


def test_an_emptied_journal_is_a_cut_tail(store: LocalStore) -> None:
    """Where all entries are gone, the head tells that there were some."""
    for number in range(1, 6):
        store.delete(entry_key("p", number))
    assert verify_chain(store, "p", COUNT).problems == (
        "the tail was cut: the head hint names entry 5, the last one found is 0",
    )


def test_an_entry_added_while_listing_is_no_gap(store: LocalStore) -> None:
    """A list that lacks an entry which the store has reports nothing."""

    class Hasty(LocalStore):
        def list(self, prefix: str):
            return (key for key in super().list(prefix) if key != entry_key("p", 3))

    assert verify_chain(Hasty(store.root), "p", COUNT).holds


def test_another_pipeline_s_entry_is_found(store: LocalStore) -> None:
    """An entry copied from another journal doesn't fit, whatever its number."""
    other: Journal[int] = Journal(store, "q", fold=COUNT, actor="me")
    entry: Entry = other.append(lambda _: Draft("noted", {}))[0]
    store.put(entry_key("p", 1), store.get(entry_key("q", 1)) or b"")
    problems = verify_chain(store, "p", COUNT).problems
    assert "entry 1 says that it is entry 1 of q" in problems
    assert entry.pipeline == "q"
