from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from evertrain.errors import Conflict, StorageUnavailable
from evertrain.journal.chain import Draft
from evertrain.release import PipelineState, ReleaseJournal, decide_registered, open_journal
from evertrain.storage import S3Store, open_store
from evertrain.storage.s3_client import s3_client

FACTS = dict.fromkeys(("run_id", "bundle", "snapshot", "config", "code"), "x")
pytestmark = pytest.mark.fault


def register(version: int) -> Callable[[PipelineState], Draft]:
    """Register *version* once: the second time is a Conflict, so that a double entry would show."""
    wanted = decide_registered(version=version, run_key=f"k{version}", **FACTS)

    def decide(state: PipelineState) -> Draft:
        if version in state.versions:
            raise Conflict(f"version {version} stands")
        return wanted(state)

    return decide


def registered(s3_server: Any, bucket: str) -> list[int]:
    """The versions that the entries register, read without the bad line."""
    store = S3Store(f"s3://{bucket}", client=s3_server.client())
    journal: ReleaseJournal = open_journal(store, "flights", "reader")
    assert journal.verify().holds
    entries, state = journal.read()
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert len(state.versions) == len(entries)
    return [int(str(entry.data["version"])) for entry in entries]


def is_entry(method: str, path: str) -> bool:
    return method == "PUT" and "/journal/" in path


@pytest.mark.parametrize("fault", ["lose", "reset", "refuse"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_write_whose_answer_is_lost_is_written_once(
    s3_server, s3_bucket: str, bad_line, fault: str, times: int
) -> None:
    """One lost answer is met by the client's own second try, three by reading what is stored."""
    journal = open_journal(open_store(f"s3://{s3_bucket}"), "flights", "me")
    journal.append(register(1))
    left = [fault] * times

    def lose(line: object, method: str, path: str) -> str:
        return left.pop() if left and is_entry(method, path) else "pass"

    bad_line.fault = lose
    entry, state = journal.append(register(2))
    assert left == []
    assert (entry.number, set(state.versions)) == (2, {1, 2})
    assert registered(s3_server, s3_bucket) == [1, 2]


def test_half_an_answer_is_none(s3_bucket: str, bad_line) -> None:
    """Bytes that end too early are told as a fault that may pass, never taken for the value."""
    store = open_store(f"s3://{s3_bucket}")
    store.put("a", b"0123456789")
    bad_line.fault = lambda line, method, path: "cut"
    with pytest.raises(StorageUnavailable, match="Can't read 'a'"):
        store.get("a")


def test_a_write_that_arrives_late_is_no_second_entry(s3_server, s3_bucket: str, bad_line) -> None:
    """All tries of one request time out, the next succeeds, then the first ones arrive."""
    journal = open_journal(open_store(f"s3://{s3_bucket}"), "flights", "me")
    journal.append(register(1))
    hasty = S3Store(f"s3://{s3_bucket}", client=s3_client(read_seconds=0.3))
    left = ["hold"] * 3
    bad_line.hold_seconds = 4.0
    bad_line.fault = lambda line, method, path: left.pop() if left and is_entry(method, path) else "pass"
    entry, _ = open_journal(hasty, "flights", "hasty").append(register(2))
    assert entry.number == 2
    assert left == []
    journal.append(register(3))
    time.sleep(bad_line.hold_seconds)
    assert registered(s3_server, s3_bucket) == [1, 2, 3]


def test_a_line_that_stays_dead_ends_in_a_transient_error(s3_server, s3_bucket: str, bad_line) -> None:
    """Bounded tries, an error that says what is unclear, and no entry."""
    journal = open_journal(open_store(f"s3://{s3_bucket}"), "flights", "me")
    bad_line.fault = lambda line, method, path: "refuse" if is_entry(method, path) else "pass"
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match="It may still arrive"):
        journal.append(register(1))
    assert time.monotonic() - started < 30
    assert registered(s3_server, s3_bucket) == []


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_over_a_bad_line_nothing_is_lost_and_nothing_doubled(
    s3_server, s3_bucket: str, bad_line, seed: int
) -> None:
    """One request in six is lost, or its answer, or half of that: each entry stands once."""
    draw = random.Random(seed)
    store = open_store(f"s3://{s3_bucket}")
    faults = ["pass"] * 20 + ["lose", "refuse", "cut", "reset"]
    bad_line.fault = lambda line, method, path: draw.choice(faults)
    journal = open_journal(store, "flights", "me")
    for version in range(1, 9):
        write_at_last(journal, version)
    assert registered(s3_server, s3_bucket) == list(range(1, 9))
    assert any(not line.startswith("pass") for line in bad_line.seen)


def write_at_last(journal: ReleaseJournal, version: int) -> None:
    for _ in range(20):
        try:
            journal.append(register(version))
        except StorageUnavailable:
            continue
        except Conflict:
            # An earlier try's entry stands, although its answer never came.
            return
        else:
            return
    pytest.fail("twenty tries were not enough")
