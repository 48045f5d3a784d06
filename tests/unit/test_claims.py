from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from evertrain.claims import Terms, claim, lease_key
from evertrain.errors import Conflict, ServiceError, StorageError
from evertrain.liveness import ProcessIdentity, identify_process
from evertrain.release import (
    ReleaseJournal,
    decide_claimed,
    decide_registered,
    decide_taken_over,
    open_journal,
)
from evertrain.storage import LocalStore, open_store

ELSEWHERE = ProcessIdentity("far", "far/boot/ns", 42, 1.0)
LEASE = lease_key("flights", 1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def journal(store: LocalStore) -> ReleaseJournal:
    return open_journal(store, "flights", "ann")


@pytest.fixture
def dead() -> ProcessIdentity:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify_process(process.pid)
    process.communicate()
    return identity


def never_sleep(seconds: float) -> None:
    pytest.fail(f"waited {seconds} s")


def kinds(journal: ReleaseJournal) -> list[str]:
    return [entry.kind for entry in journal.read()[0]]


def test_a_claim_is_held_while_the_block_runs(journal: ReleaseJournal, store: LocalStore) -> None:
    """Inside the block the claim and its lease stand; after it the purpose is free."""
    with claim(journal, store, "train") as held:
        state = journal.read()[1]
        assert (held.number, held.purpose, held.attempt) == (1, "train", 1)
        assert state.claims["train"].owner == identify_process()
        assert state.claims["train"].lease_seconds == 15.0
        assert store.get(LEASE) is not None
    assert journal.read()[1].claims == {}
    assert list(store.list("leases/")) == []
    with claim(journal, store, "train") as held:
        assert (held.number, held.attempt) == (3, 1)


def test_a_living_owner_is_named(journal: ReleaseJournal, store: LocalStore) -> None:
    """The Conflict tells host, pid, who and since when, with exit 11; another purpose is free."""
    with claim(journal, store, "train"):
        other = open_journal(store, "flights", "bob")
        with pytest.raises(Conflict) as caught, claim(other, store, "train"):
            pytest.fail("the block must not run")
        with claim(other, store, "rollout") as rollout:
            assert rollout.number == 2
        since = journal.read()[1].claims["train"].since
    assert caught.value.exit_code == 11
    for part in (str(os.getpid()), os.uname().nodename, "ann", since, "train of flights"):
        assert part in caught.value.message
    assert caught.value.attributes["pid"] == os.getpid()


def test_an_error_in_the_block_releases_and_passes(journal: ReleaseJournal, store: LocalStore) -> None:
    """The block's own error reaches the caller and the claim is given back."""
    with pytest.raises(KeyError, match="mine"), claim(journal, store, "train"):
        raise KeyError("mine")
    assert kinds(journal) == ["claimed", "released"]


def test_a_release_that_fails_masks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the claim can't be given back, the block's own error is what the caller sees."""

    class Breaking(LocalStore):
        broken = False

        def put_if_absent(self, key: str, data: bytes) -> bool:
            if self.broken:
                raise StorageError("disk full")
            return super().put_if_absent(key, data)

    store = Breaking(tmp_path)

    def break_and_fail() -> None:
        with claim(open_journal(store, "flights", "ann"), store, "train"):
            store.broken = True
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        break_and_fail()
    assert "could not be released: disk full" in caplog.text


def test_a_dead_owner_on_this_host_is_no_obstacle(
    journal: ReleaseJournal, store: LocalStore, dead: ProcessIdentity
) -> None:
    """A claim whose process is gone is taken over at once, without waiting for its lease."""
    journal.append(decide_claimed("train", dead, 15.0))
    store.put(LEASE, b"fresh")
    with claim(journal, store, "train", terms=Terms(sleep=never_sleep)) as held:
        assert (held.number, held.attempt) == (2, 2)
    assert kinds(journal) == ["claimed", "taken_over", "released"]
    assert list(store.list("leases/")) == []


def test_a_lease_that_can_not_be_removed_masks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The claim is given back all the same; what is left is only logged."""

    class Keeping(LocalStore):
        def delete(self, key: str) -> None:
            raise StorageError("no right")

    store = Keeping(tmp_path)
    journal = open_journal(store, "flights", "ann")
    with claim(journal, store, "train"):
        pass
    assert kinds(journal) == ["claimed", "released"]
    assert "the lease of claim 1 (train) could not be removed: no right" in caplog.text


def test_a_store_that_is_gone_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One cause, one line: a claim that can't be given back says nothing of the lease beside it."""
    store, journal = LocalStore(tmp_path), open_journal(LocalStore(tmp_path), "flights", "ann")

    def refuse(*_: object) -> NoReturn:
        raise StorageError("gone")

    with pytest.MonkeyPatch.context() as patch, claim(journal, store, "train"):
        patch.setattr(LocalStore, "delete", refuse)
        patch.setattr(LocalStore, "put_if_absent", refuse)

    assert [line.getMessage() for line in caplog.records] == ["claim 1 (train) could not be released: gone"]


def test_a_pid_used_again_is_a_dead_owner(journal: ReleaseJournal, store: LocalStore) -> None:
    """A process that merely bears the owner's pid doesn't hold its claim."""
    former = replace(identify_process(), started=identify_process().started - 1)
    journal.append(decide_claimed("train", former, 15.0))
    with claim(journal, store, "train", terms=Terms(sleep=never_sleep)) as held:
        assert held.attempt == 2


def test_a_far_owner_that_renews_its_lease_is_living(journal: ReleaseJournal, store: LocalStore) -> None:
    """A beat that is seen while waiting is a living owner: Conflict."""
    journal.append(decide_claimed("train", ELSEWHERE, 15.0))
    store.put(LEASE, b"1")
    looks: list[float] = []

    def beat_at_the_third_look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            store.put(LEASE, b"2")

    with (
        pytest.raises(Conflict, match="process 42 on far"),
        claim(journal, store, "train", terms=Terms(sleep=beat_at_the_third_look)),
    ):
        pytest.fail("the block must not run")
    assert looks == [0.25] * 3


def test_a_far_owner_that_beats_for_the_first_time_is_living(
    journal: ReleaseJournal, store: LocalStore
) -> None:
    """A lease that appears while waiting is a sign of life too."""
    journal.append(decide_claimed("train", ELSEWHERE, 15.0))
    with (
        pytest.raises(Conflict, match="process 42 on far"),
        claim(journal, store, "train", terms=Terms(sleep=lambda _: store.put(LEASE, b"1"))),
    ):
        pytest.fail("the block must not run")


def age_lease(store: LocalStore) -> Callable[[float], None]:
    """A sleep that takes no time here and as long as it says on the store's clock."""

    def sleep(seconds: float) -> None:
        stamp = store.path(LEASE).stat().st_mtime - seconds
        os.utime(store.path(LEASE), (stamp, stamp))

    return sleep


def test_a_far_owner_s_lease_is_waited_for_and_then_taken_over(
    journal: ReleaseJournal, store: LocalStore
) -> None:
    """When the lease has run out on the store's clock, by its owner's own terms, the claim is taken over."""
    journal.append(decide_claimed("train", ELSEWHERE, 5.0))
    store.put(LEASE, b"1")
    slept: list[float] = []
    sleep = age_lease(store)

    def count(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    with claim(journal, store, "train", terms=Terms(sleep=count)) as held:
        assert held.attempt == 2
    assert 4 <= sum(slept) <= 5.25


@pytest.mark.parametrize("vanishes", [False, True])
def test_a_far_owner_without_a_lease_is_waited_for_too(
    journal: ReleaseJournal, store: LocalStore, vanishes: bool
) -> None:
    """An owner that was killed before its first beat, or whose lease was removed, gets one lease's time."""
    journal.append(decide_claimed("train", ELSEWHERE, 2.0))
    if vanishes:
        store.put(LEASE, b"1")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        store.delete(LEASE)

    with claim(journal, store, "train", terms=Terms(sleep=sleep)) as held:
        assert held.attempt == 2
    assert sum(slept) == 2.0


def test_who_was_taken_over_can_not_write_nor_release(
    journal: ReleaseJournal, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    """An owner that comes back late gets a Conflict, and its release changes nothing."""
    facts = dict.fromkeys(("run_key", "run_id", "bundle", "snapshot", "config", "code"), "x")
    other = open_journal(store, "flights", "bob")
    with claim(journal, store, "train") as held:
        other.append(decide_taken_over(other.read()[1].claims["train"], ELSEWHERE, 15.0))
        with pytest.raises(Conflict, match="claim 1"):
            journal.append(decide_registered(version=1, **facts, fence=held.number))
    assert kinds(journal) == ["claimed", "taken_over"]
    assert journal.read()[1].claims["train"].owner == ELSEWHERE
    assert "claim 1 (train) could not be released" in caplog.text


def test_who_loses_the_race_looks_again_at_who_won(tmp_path: Path) -> None:
    """If someone living claims between the look and the append, the loser names that owner."""

    class Raced(LocalStore):
        raced = False

        def put_if_absent(self, key: str, data: bytes) -> bool:
            if not self.raced:
                self.raced = True
                rival = open_journal(LocalStore(self.root), "flights", "rival")
                rival.append(decide_claimed("train", identify_process(), 15.0))
            return super().put_if_absent(key, data)

    store = Raced(tmp_path)
    journal = open_journal(store, "flights", "ann")
    with pytest.raises(Conflict, match="started by rival"), claim(journal, store, "train"):
        pytest.fail("the block must not run")
    assert kinds(journal) == ["claimed"]


def test_a_claim_that_can_not_beat_is_given_back(
    journal: ReleaseJournal, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the heartbeat can't be started nothing is run and nothing stays claimed."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ServiceError), claim(journal, store, "train"):
        pytest.fail("the block must not run")
    assert journal.read()[1].claims == {}


def test_a_claim_on_s3_is_held_beaten_for_and_given_back(s3_bucket: str) -> None:
    """Its heartbeat process reaches the bucket by itself, and nothing of the claim is left after it."""
    store = open_store(f"s3://{s3_bucket}/loop")
    journal = open_journal(store, "flights", "ann")
    with claim(journal, store, "train", terms=Terms(beat_seconds=0.1)):
        first = store.get_if_changed(LEASE, None)
        assert first is not None
        deadline = time.monotonic() + 30
        while store.get_if_changed(LEASE, first[1]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(Conflict), claim(open_journal(store, "flights", "bob"), store, "train"):
            pytest.fail("the block must not run")
    assert kinds(journal) == ["claimed", "released"]
    assert list(store.list("leases/")) == []


def test_a_far_owner_s_lease_on_s3_is_waited_for_on_the_store_s_clock(s3_bucket: str) -> None:
    """Last-Modified against the answer's Date: nothing is said of this machine's clock."""
    store = open_store(f"s3://{s3_bucket}")
    journal = open_journal(store, "flights", "ann")
    journal.append(decide_claimed("train", ELSEWHERE, 2.0))
    store.put(LEASE, b"1")
    started = time.monotonic()
    with claim(journal, store, "train", terms=Terms(look_seconds=0.1)) as held:
        # Whole seconds: a lease may look up to one second older than it is.
        assert time.monotonic() - started > 0.9
        assert held.attempt == 2
