from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from evertrain.errors import ConfigError, StorageError, StorageUnavailable
from evertrain.storage import S3Store, attach_store, open_store

SECRET = "a-secret-that-nobody-may-read"


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


TIMEOUT = ReadTimeoutError(endpoint_url="http://h")


class Bucket:
    """A client over a dict; each PUT first takes one of *answers*: (is it stored?, what is raised)."""

    def __init__(self, *answers: tuple[bool, Exception | None]) -> None:
        self.objects: dict[str, bytes] = {}
        self.answers = list(answers)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str | None = None) -> None:
        stored, raised = self.answers.pop(0) if self.answers else (True, None)
        if stored:
            if IfNoneMatch and Key in self.objects:
                raise refusal("PreconditionFailed", 412)
            self.objects[Key] = Body
        if raised:
            raise raised

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, object]:
        if Key not in self.objects:
            raise refusal("NoSuchKey", 404)
        return {"Body": io.BytesIO(self.objects[Key]), "ETag": '"x"'}

    def get_paginator(self, name: str) -> Bucket:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, object]]:
        return [{}]

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.objects.pop(Key, None)


@pytest.mark.parametrize(
    "lost",
    [
        TIMEOUT,
        refusal("PreconditionFailed", 412),
        refusal("ConditionalRequestConflict", 409),
        refusal("", 500),
    ],
)
def test_an_unclear_answer_is_settled_by_what_is_stored(lost: Exception) -> None:
    """Own bytes in the store mean that this writer won, whatever the client was told."""
    store = S3Store("s3://bucket", client=Bucket((True, lost)))
    assert store.put_if_absent("n/1", b"mine")


def test_after_an_unclear_answer_somebody_else_s_bytes_mean_lost() -> None:
    """A timeout beside a faster writer is a loss."""
    bucket = Bucket((False, TIMEOUT))
    bucket.objects["n/1"] = b"theirs"
    assert not S3Store("s3://bucket", client=bucket).put_if_absent("n/1", b"mine")


@pytest.mark.parametrize("lost", [TIMEOUT, refusal("PreconditionFailed", 412)])
def test_an_unclear_answer_with_nothing_stored_may_be_tried_again(lost: Exception) -> None:
    """The write may still arrive: neither won nor lost."""
    with pytest.raises(StorageUnavailable, match="Can't write 'n/1' in s3://bucket"):
        S3Store("s3://bucket", client=Bucket((False, lost))).put_if_absent("n/1", b"mine")


def test_a_refusal_is_no_loss() -> None:
    """Where S3 says no, nobody else won."""
    bucket = Bucket((False, refusal("AccessDenied", 403)))
    with pytest.raises(StorageError, match="no right"):
        S3Store("s3://bucket", client=bucket).put_if_absent("n/1", b"mine")


class Overwriting(Bucket):
    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str | None = None) -> None:
        self.objects[Key] = Body


def test_a_store_where_a_second_writer_wins_is_refused_by_name() -> None:
    """The probe finds that the condition is ignored, and removes what it wrote."""
    bucket = Overwriting()
    with pytest.raises(StorageError, match="s3://bucket/prefix let a second writer overwrite"):
        S3Store("s3://bucket/prefix", client=bucket).prepare()
    assert bucket.objects == {}


def test_a_missing_bucket_is_refused_when_the_store_is_opened(s3_bucket: str) -> None:
    """The message names the store and what to do."""
    with pytest.raises(StorageError, match=r"s3://not-there-1/prefix: there is no such bucket"):
        open_store("s3://not-there-1/prefix")


def test_who_may_only_read_can_attach_but_not_open(
    s3_server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Serving reads a store in which it may write nothing."""
    where = f"s3://{s3_bucket}"
    open_store(where).put("a", b"1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.reader_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.reader_secret)
    with pytest.raises(StorageError, match="have no right"):
        open_store(where)
    store = attach_store(where)
    assert store.get("a") == b"1"
    for verb in (store.delete, lambda key: store.put(key, b"")):
        with pytest.raises(StorageError, match="have no right"):
            verb("a")


def test_wrong_credentials_are_told_by_every_verb(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No verb takes a refusal for an absent key, and none shows the secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    store = attach_store(f"s3://{s3_bucket}")
    verbs = (
        store.get,
        store.list,
        store.delete,
        lambda key: store.put(key, b""),
        lambda key: store.put_if_absent(key, b""),
        lambda key: store.get_if_changed(key, None),
    )
    for verb in verbs:
        with pytest.raises(StorageError, match="credentials are wrong") as told:
            verb("a")
        assert SECRET not in told.value.message
    # A HEAD has no body that could say more.
    with pytest.raises(StorageError, match="no right"):
        store.age_seconds("a")


def test_age_is_the_answer_s_time_minus_the_object_s() -> None:
    """Two times of the store's clock, never one of this machine's; never below zero."""

    class Dated(Bucket):
        def head_object(self, *, Bucket: str, Key: str) -> dict[str, object]:
            second = {"old": 0, "new": 59}[Key]
            headers = {"date": "Wed, 01 May 2024 12:00:30 GMT"}
            return {
                "LastModified": datetime(2024, 5, 1, 12, 0, second, tzinfo=UTC),
                "ResponseMetadata": {"HTTPHeaders": headers},
            }

    store = S3Store("s3://bucket", client=Dated())
    assert store.age_seconds("old") == 30
    assert store.age_seconds("new") == 0


def test_a_list_of_more_than_one_page_is_whole(s3_bucket: str) -> None:
    """S3 gives at most a thousand names at once."""
    store = open_store(f"s3://{s3_bucket}/p")
    keys = [f"n/{number:04d}" for number in range(1002)]
    for key in keys:
        store.put(key, b"")
    assert list(store.list("n/")) == keys


@pytest.mark.parametrize(
    "where", ["s3://", "s3:///a", "s3://ab", "s3://bucket/../x", f"s3://k:{SECRET}@bucket/p"]
)
def test_an_address_without_bucket_or_with_a_wrong_prefix_is_refused(where: str) -> None:
    """A wrong setting, exit 2; a password in it isn't shown."""
    with pytest.raises(ConfigError, match="EVERTRAIN_STORE") as told:
        attach_store(where)
    assert SECRET not in told.value.message


def test_a_password_in_another_kind_of_address_is_not_shown() -> None:
    """Addresses with a user in them are not repeated."""
    with pytest.raises(ConfigError, match="another kind of address") as told:
        attach_store(f"ftp://user:{SECRET}@host/x")
    assert SECRET not in told.value.message


@pytest.mark.parametrize(
    ("where", "named"),
    [("s3://bucket", "s3://bucket"), ("s3://bucket/", "s3://bucket"), ("s3://b-1/a/b/", "s3://b-1/a/b")],
)
def test_a_store_bears_its_address_without_closing_slash(where: str, named: str) -> None:
    """Its prefix may be empty or of several parts."""
    assert S3Store(where).where == named
