from __future__ import annotations

import threading
from pathlib import Path

import pytest

from evertrain.errors import StorageError
from evertrain.storage import GONE, Store, attach_store, open_store


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    return open_store(f"s3://{request.getfixturevalue('s3_bucket')}/some/prefix")


def test_what_was_put_is_got(store: Store) -> None:
    """A key holds the bytes that were last put there."""
    store.put("a/b", b"1")
    store.put("a/b", b"2")
    assert store.get("a/b") == b"2"


@pytest.mark.parametrize("key", ["nothing", "a/b/c", "a"])
def test_a_key_that_was_never_put_holds_nothing(store: Store, key: str) -> None:
    """A missing file, a name below a file and a folder all read as absent."""
    store.put("a/b", b"1")
    assert store.get(key) is None


def test_only_the_first_put_if_absent_wins(store: Store) -> None:
    """The second writer of a key loses and changes nothing."""
    assert store.put_if_absent("n/1", b"first")
    assert not store.put_if_absent("n/1", b"second")
    assert store.get("n/1") == b"first"


def test_delete_removes_a_key_and_minds_no_absence(store: Store) -> None:
    """After delete a key reads as absent; deleting it again, or below a file, is no error."""
    store.put("a", b"1")
    store.delete("a")
    store.delete("a")
    store.put("b", b"1")
    store.delete("b/c")
    assert store.get("a") is None


def test_polling_tells_absent_unchanged_changed_and_gone_apart(store: Store) -> None:
    """Each of the four things that a poll can find has its own answer."""
    assert store.get_if_changed("head", None) is None
    store.put("head", b"1")
    first = store.get_if_changed("head", None)
    assert first is not None
    assert first[0] == b"1"
    assert store.get_if_changed("head", first[1]) is None
    store.put("head", b"2")
    second = store.get_if_changed("head", first[1])
    assert second is not None
    assert second[0] == b"2"
    store.delete("head")
    assert store.get_if_changed("head", second[1]) == (b"", GONE)
    assert store.get_if_changed("head", GONE) is None
    store.put("head", b"2")
    assert store.get_if_changed("head", GONE) == second


def test_list_gives_sorted_keys_that_begin_with_the_prefix(store: Store) -> None:
    """A prefix is text, not a folder; what lies beside it isn't listed."""
    for key in ("b/2", "b/10", "b1/x", "a", "b/c/d", "b-1/x"):
        store.put(key, b"")
    assert list(store.list("b/")) == ["b/10", "b/2", "b/c/d"]
    assert list(store.list("b")) == ["b-1/x", "b/10", "b/2", "b/c/d", "b1/x"]
    assert list(store.list("")) == ["a", "b-1/x", "b/10", "b/2", "b/c/d", "b1/x"]
    assert list(store.list("none/")) == []
    assert list(store.list("a/")) == []


def test_bytes_and_names_of_any_kind_come_back(store: Store) -> None:
    """Names with spaces, dots and any Unicode, empty values and every byte."""
    for key in ("a b/c.d-e=f+g", "ä/日本/%20", "x&y/'q'"):
        store.put(key, bytes(range(256)))
        assert store.get(key) == bytes(range(256))
        assert key in list(store.list(""))
    store.put("empty", b"")
    assert store.get("empty") == b""


def test_age_is_told_on_the_store_s_own_clock(store: Store) -> None:
    """A fresh key is young; an absent one has no age."""
    store.put("lease", b"")
    age_seconds = store.age_seconds("lease")
    assert age_seconds is not None
    assert 0 <= age_seconds < 60
    assert store.age_seconds("absent") is None


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.tmp-x", "a\0b", "\udc80", "x" * 256]
)
def test_what_is_no_key_is_refused_by_every_verb(store: Store, key: str) -> None:
    """Both kinds of store know the same keys, so that one can be copied to the other."""
    for verb in (store.get, store.delete, store.age_seconds, lambda key: store.get_if_changed(key, None)):
        with pytest.raises(StorageError, match="can't be a key"):
            verb(key)
    for write in (store.put, store.put_if_absent):
        with pytest.raises(StorageError, match="can't be a key"):
            write(key, b"")


def test_of_many_threads_one_creates_a_key(store: Store) -> None:
    """Each of four keys has one winner among four that write at once."""
    won: list[tuple[int, int]] = []
    barrier = threading.Barrier(4)

    def race(writer: int) -> None:
        for number in range(4):
            barrier.wait()
            if store.put_if_absent(f"n/{number}", str(writer).encode()):
                won.append((number, writer))

    threads = [threading.Thread(target=race, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in won) == list(range(4))
    assert all(store.get(f"n/{number}") == str(writer).encode() for number, writer in won)


def test_opening_leaves_nothing_and_can_be_done_by_its_own_name(store: Store) -> None:
    """The probe cleans up after itself; who is told where the store is sees the same."""
    assert list(store.list("")) == []
    store.put("a", b"1")
    assert open_store(store.where).get("a") == b"1"
    assert attach_store(store.where).where == store.where
