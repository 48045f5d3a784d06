from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from evertrain.errors import ConfigError, StorageError, StorageUnavailable, Transient
from evertrain.storage import LocalStore, attach_store, open_store


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    opened = open_store(str(tmp_path / "store"))
    assert isinstance(opened, LocalStore)
    return opened


def failing_link(number: int):
    def link(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    return link


def test_list_gives_sorted_keys_that_begin_with_the_prefix(store: LocalStore) -> None:
    """A prefix is text, not a folder, and temporary files are never listed."""
    for key in ("b/2", "b/10", "b1/x", "a", "b/c/d"):
        store.put(key, b"")
    (store.root / "b" / ".tmp-other-1-x").touch()
    assert list(store.list("b/")) == ["b/10", "b/2", "b/c/d"]
    assert list(store.list("b")) == ["b/10", "b/2", "b/c/d", "b1/x"]
    assert list(store.list("")) == ["a", "b/10", "b/2", "b/c/d", "b1/x"]
    assert list(store.list("none/")) == []
    assert list(store.list("a/")) == []


def test_age_is_measured_against_a_fresh_file(store: LocalStore) -> None:
    """A key's age is the store's now minus its time stamp, never below zero; an absent key has none."""
    store.put("lease", b"")
    written = store.path("lease").stat().st_mtime
    os.utime(store.path("lease"), (written, written - 100))
    old = store.age_seconds("lease")
    assert old is not None
    assert 100 <= old < 130
    os.utime(store.path("lease"), (written, written + 1000))
    assert store.age_seconds("lease") == 0
    assert store.age_seconds("absent") is None
    assert store.age_seconds("lease/below") is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        ".",
        "a/.tmp-x",
        "a\0b",
        "a\\b",
        "\udc80",
        "x" * 256,
        "x/" * 520,
    ],
)
def test_what_is_no_key_is_refused_by_every_verb(store: LocalStore, key: str) -> None:
    """Nothing outside of the store's folder, and no temporary file, can be named."""
    for verb in (store.get, store.delete, store.path, store.age_seconds):
        with pytest.raises(StorageError, match="can't be a key"):
            verb(key)
    for write in (store.put, store.put_if_absent):
        with pytest.raises(StorageError, match="can't be a key"):
            write(key, b"")


def test_a_prefix_can_not_leave_the_store(store: LocalStore) -> None:
    """Listing is bound to the store's folder too."""
    for prefix in ("../", "/", "a/../"):
        with pytest.raises(StorageError, match="can't be a key"):
            store.list(prefix)


def test_a_key_below_another_key_is_an_error_not_a_loss(store: LocalStore) -> None:
    """Where a file stands in a folder's place, put-if-absent doesn't claim that someone else won."""
    store.put("a", b"1")
    with pytest.raises(StorageError, match=r"Can't write 'a/b'"):
        store.put_if_absent("a/b", b"1")
    with pytest.raises(StorageError, match=r"Can't write 'a/b'"):
        store.put("a/b", b"1")


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, StorageError, "Free some space"),
        (errno.EDQUOT, StorageError, "Free some space"),
        (errno.EACCES, StorageError, "Let this user write"),
        (errno.EROFS, StorageError, "Let this user write"),
        (errno.ESTALE, StorageUnavailable, "Try again"),
        (errno.EIO, StorageError, "Look at the disk"),
    ],
)
def test_a_failing_disk_is_told_with_key_cause_and_remedy(
    store: LocalStore, number: int, kind: type[StorageError], advice: str
) -> None:
    """The message names key, folder, cause and remedy; only what may pass is transient; no file is left."""
    broken = LocalStore(store.root, link=failing_link(number))
    with pytest.raises(StorageError) as caught:
        broken.put_if_absent("n/1", b"x")
    assert type(caught.value) is kind
    assert isinstance(caught.value, Transient) == (kind is StorageUnavailable)
    for part in ("'n/1'", str(store.root), os.strerror(number), advice):
        assert part in caught.value.message
    assert list((store.root / "n").iterdir()) == []


def test_an_overwrite_that_fails_leaves_the_old_bytes_and_no_temporary_file(store: LocalStore) -> None:
    """Where the target can't be replaced, the error is told and what was there stays."""
    store.put("a/b", b"1")
    with pytest.raises(StorageError, match="'a'"):
        store.put("a", b"2")
    assert store.get("a/b") == b"1"
    assert [path.name for path in store.root.iterdir()] == ["a"]


def test_a_delete_that_fails_is_told(store: LocalStore) -> None:
    """A folder in a key's place can't be deleted as a key."""
    store.put("a/b", b"1")
    with pytest.raises(StorageError, match="Can't delete 'a'"):
        store.delete("a")


def test_opening_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    """The probe cleans up after itself, and the store can be opened again by its own name."""
    opened = open_store(str(tmp_path / "new" / "store"))
    assert list((tmp_path / "new" / "store").iterdir()) == []
    assert attach_store(opened.where).where == opened.where


def test_opening_where_a_file_stands_is_refused_by_name(tmp_path: Path) -> None:
    """A store that can't be made names its folder and what to set."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="EVERTRAIN_STORE") as caught:
        open_store(str(tmp_path / "file"))
    assert str(tmp_path / "file") in caught.value.message


@pytest.mark.parametrize("where", ["gs://bucket", "file:///a", "S3://bucket", "", "a\0b"])
def test_other_kinds_of_store_are_refused(where: str) -> None:
    """What isn't a local folder is a wrong setting, exit 2."""
    with pytest.raises(ConfigError, match="EVERTRAIN_STORE"):
        open_store(where)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_file_system_without_hard_links_is_refused_by_name(tmp_path: Path, number: int) -> None:
    """The start-up probe finds that links can't be made."""
    with pytest.raises(StorageError, match="has no hard links") as caught:
        LocalStore(tmp_path, link=failing_link(number)).prepare()
    assert str(tmp_path) in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_while_probed_is_told_as_such(tmp_path: Path) -> None:
    """A full disk isn't mistaken for a file system without links."""
    with pytest.raises(StorageError, match="Free some space"):
        LocalStore(tmp_path, link=failing_link(errno.ENOSPC)).prepare()


def test_a_store_where_a_second_writer_wins_is_refused(tmp_path: Path) -> None:
    """The start-up probe finds that put-if-absent isn't one."""

    def overwrite(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())

    with pytest.raises(StorageError, match="second writer"):
        LocalStore(tmp_path, link=overwrite).prepare()
    assert list(tmp_path.iterdir()) == []
