from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from evertrain.errors import StorageError
from evertrain.release import decide_promoted, decide_registered, open_journal
from evertrain.storage import LocalStore, S3Store, Store

FACTS = dict.fromkeys(("run_id", "bundle", "snapshot", "config", "code"), "x")
pytestmark = pytest.mark.fault


class Countdown:
    """Says yes at the *turn*-th question, once; ``fired`` tells whether it was asked as often."""

    def __init__(self, turn: int) -> None:
        self.left = turn

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0

    @property
    def fired(self) -> bool:
        return self.left <= 0


def work(store: LocalStore | S3Store) -> None:
    """Open the store; register once and promote once."""
    store.prepare()
    journal = open_journal(store, "flights", "me")
    if journal.read()[1].find_run("k1") is None:
        journal.append(decide_registered(version=1, run_key="k1", **FACTS))
    if journal.read()[1].champion is None:
        journal.append(decide_promoted(version=1, judged_generation=0))


def check_whole(store: Store) -> None:
    journal = open_journal(store, "flights", "reader")
    assert journal.verify().problems == ()
    entries, state = journal.read()
    assert [entry.kind for entry in entries] == ["registered", "promoted"]
    assert (state.champion, state.generation) == (1, 1)


class HalfWriting(io.BufferedWriter):
    """A file on which a write may put half of its bytes on the disk before it fails."""

    def __init__(self, path: Path, is_due: Callable[[], bool], number: int) -> None:
        super().__init__(io.FileIO(path, "x"))
        self._is_due, self._number = is_due, number

    def write(self, data: Any) -> int:
        if self._is_due():
            super().write(bytes(data)[: len(data) // 2])
            self.flush()
            raise OSError(self._number, os.strerror(self._number))
        return super().write(data)


def break_disk(monkeypatch: pytest.MonkeyPatch, is_due: Countdown, number: int) -> Callable[..., None]:
    """Let this disk fail once in a write, sync, rename or new folder; gives a link that may fail too."""

    def may_fail(act: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if is_due():
                raise OSError(number, os.strerror(number))
            return act(*args, **options)

        return call

    real_open = io.open

    def open_half(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        return HalfWriting(path, is_due, number) if mode == "xb" else real_open(path, mode, *args, **options)

    monkeypatch.setattr(io, "open", open_half)
    for name in ("fsync", "replace", "mkdir"):
        monkeypatch.setattr(os, name, may_fail(getattr(os, name)))
    return may_fail(os.link)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_any_step_leaves_nothing_broken(tmp_path: Path, number: int) -> None:
    """At each write, sync, link or rename in turn: a clear error or none, and the next run mends all."""
    turn = 0
    while True:
        turn += 1
        root = tmp_path / str(turn)
        is_due = Countdown(turn)
        with pytest.MonkeyPatch.context() as broken:
            link = break_disk(broken, is_due, number)
            failed = fails(LocalStore(root, link=link))
        if not is_due.fired:
            break
        assert not failed or os.strerror(number) in failed
        if root.exists():
            assert open_journal(LocalStore(root), "flights", "reader").verify().problems == ()
        work(LocalStore(root))
        check_whole(LocalStore(root))
        assert list(root.rglob(".tmp-*")) == []
    assert turn > 30
    assert failed == ""


def fails(store: LocalStore | S3Store) -> str:
    """What StorageError ``work`` ended with; empty if it didn't."""
    try:
        work(store)
    except StorageError as told:
        return told.message
    return ""


class Refusing:
    """A boto3 client that fails once: before the request is sent, or when its answer comes."""

    def __init__(self, client: Any, is_due: Countdown, error: Exception, *, before: bool) -> None:
        self._client, self._is_due, self._error, self._before = client, is_due, error, before

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            due = name != "get_paginator" and self._is_due()
            if due and self._before:
                raise self._error
            answer = real(*args, **options)
            if due:
                raise self._error
            return answer

        return call


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Any")


@pytest.mark.parametrize(
    ("error", "before"),
    [
        (refusal("InternalError", 500), True),
        (refusal("AccessDenied", 403), True),
        (ReadTimeoutError(endpoint_url="http://h"), False),
    ],
)
def test_a_bucket_that_refuses_any_request_is_left_whole(
    s3_server, s3_bucket: str, error: Exception, before: bool
) -> None:
    """At each request in turn: a clear error or none, and the next run mends all."""
    client = s3_server.client()
    turn = 0
    while True:
        turn += 1
        where = f"s3://{s3_bucket}/{turn}"
        is_due = Countdown(turn)
        failed = fails(S3Store(where, client=Refusing(client, is_due, error, before=before)))
        if not is_due.fired:
            break
        assert not failed or where in failed
        store = S3Store(where, client=client)
        assert open_journal(store, "flights", "reader").verify().problems == ()
        work(store)
        check_whole(store)
    assert turn > 15
    assert failed == ""
