from __future__ import annotations

import sys

import pytest

from evertrain.errors import ConfigError, StorageError, StorageUnavailable, Transient
from evertrain.storage.s3_client import s3_client, s3_error_code, s3_faults_told

SECRET = "a-secret-that-nobody-may-read"


def test_the_client_reads_the_environment_and_works(s3_bucket: str) -> None:
    """Address and credentials come from boto3's own chain."""
    client = s3_client()
    client.put_object(Bucket=s3_bucket, Key="a b/ä", Body=b"1")
    assert client.get_object(Bucket=s3_bucket, Key="a b/ä")["Body"].read() == b"1"


def read_object(bucket: str) -> None:
    with s3_faults_told("read 'k'", f"s3://{bucket}"):
        s3_client().list_objects_v2(Bucket=bucket)


def test_a_missing_bucket_is_named(s3_bucket: str) -> None:
    """The message names what was read, where, and what to do."""
    with pytest.raises(
        StorageError, match="Can't read 'k' in s3://not-there-1: there is no such bucket"
    ) as told:
        read_object("not-there-1")
    assert not isinstance(told.value, Transient)
    assert told.value.attributes == {"store": "s3://not-there-1", "code": "NoSuchBucket"}


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_told_without_being_shown(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A wrong key or secret is said to be wrong; neither stands in the message."""
    monkeypatch.setenv(name, SECRET)
    with pytest.raises(StorageError, match="credentials are wrong or have expired") as told:
        read_object(s3_bucket)
    assert SECRET not in str(told.value)


def test_no_credentials_at_all_are_told(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where boto3 finds none, the message names the variables."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match=r"there are no credentials .*AWS_ACCESS_KEY_ID"):
        read_object(s3_bucket)


def test_a_missing_right_is_told(s3_server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may only read is told which rights are needed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.reader_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.reader_secret)
    with (
        pytest.raises(StorageError, match=r"have no right to do that .*put and delete"),
        s3_faults_told("write 'k'", s3_bucket),
    ):
        s3_client().put_object(Bucket=s3_bucket, Key="k", Body=b"")


def test_an_unreachable_store_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: transient, and the message shows no password that the address bears."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(StorageUnavailable, match="it doesn't answer") as told:
        read_object("bucket")
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(("name", "value"), [("AWS_ENDPOINT_URL", "nonsense"), ("AWS_PROFILE", "not-there")])
def test_settings_that_boto3_refuses_are_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Nothing was asked of any store yet: exit 2."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        s3_client()


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("SlowDown", 503, StorageUnavailable, "busy"),
        ("WhatIsThis", 500, StorageUnavailable, "busy"),
        ("Whatever", 429, StorageUnavailable, "busy"),
        ("ConditionalRequestConflict", 409, StorageUnavailable, "busy"),
        ("RequestTimeTooSkewed", 403, StorageError, "clock"),
        ("ExpiredToken", 400, StorageError, "expired"),
        ("Unheard", 403, StorageError, "no right"),
        ("MethodNotAllowed", 405, StorageError, "MethodNotAllowed"),
        ("", 418, StorageError, "418"),
    ],
)
def test_each_answer_says_whether_a_later_try_may_succeed(
    code: str, status: int, kind: type[StorageError], words: str
) -> None:
    """What passes by itself is transient, what someone must mend isn't."""
    from botocore.exceptions import ClientError

    error = ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject"
    )
    with pytest.raises(StorageError, match=words) as told, s3_faults_told("read 'k'", "s3://b"):
        raise error
    assert type(told.value) is kind
    assert told.value.__cause__ is error
    assert s3_error_code(error) == code


def test_faults_of_boto3_itself_are_told() -> None:
    """An untrusted certificate and a wrong parameter are nothing to try again."""
    from botocore.exceptions import ParamValidationError, SSLError

    for error, words in (
        (SSLError(endpoint_url="https://h", error="x"), "certificate"),
        (ParamValidationError(report="x"), "ParamValidationError"),
    ):
        with pytest.raises(StorageError, match=words) as told, s3_faults_told("read 'k'", "s3://b"):
            raise error
        assert not isinstance(told.value, Transient)


def test_an_error_that_is_none_of_s3s_has_no_code() -> None:
    """What else goes wrong is told apart from S3's own answers."""
    assert s3_error_code(ValueError()) == ""


def test_a_service_without_boto3_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The serving install is small: S3 is an extra of its own."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigError, match=r"pip install 'evertrain\[s3\]'"):
        s3_client()
