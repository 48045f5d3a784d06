from __future__ import annotations

import pytest

from evertrain.errors import StorageError, StorageUnavailable
from evertrain.storage.objects import copy_object, list_objects
from evertrain.storage.s3_client import s3_client


@pytest.fixture
def listed(s3_server, s3_bucket):
    """An object as its bucket lists it."""
    client = s3_server.client()
    client.put_object(Bucket=s3_bucket, Key="a/ü 1.bin", Body=b"12345")
    (found,) = list_objects(s3_bucket, "a/")
    return client, found


def test_an_object_is_listed_with_what_tells_its_bytes_apart(listed, s3_bucket):
    """Its key, its ETag without quotes, its size."""
    _, found = listed

    assert (found.uri, found.size_bytes) == (f"s3://{s3_bucket}/a/ü 1.bin", 5)
    assert found.etag == "827ccb0eea8a706c4c34a16891f84e7b"


def test_long_listings_come_whole_and_in_order(s3_server, s3_bucket):
    """S3 gives a thousand keys at a time."""
    client = s3_server.client()
    for number in range(1005):
        client.put_object(Bucket=s3_bucket, Key=f"n/{number:05d}", Body=b"")

    assert [each.key for each in list_objects(s3_bucket, "n/")] == [f"n/{n:05d}" for n in range(1005)]


def test_a_copy_is_whole(listed, tmp_path):
    """And nothing else is left."""
    client, found = listed

    copy_object(client, found, tmp_path / "copy")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("copy", b"12345")]


def test_an_object_that_changed_since_it_was_listed_is_not_copied(listed, tmp_path, s3_bucket):
    """Replaced, gone, or cut off on the way: the caller may list anew."""
    client, found = listed

    with pytest.raises(StorageUnavailable, match="was replaced or removed"):
        copy_object(client, found._replace(size_bytes=6), tmp_path / "copy")
    client.put_object(Bucket=s3_bucket, Key=found.key, Body=b"54321")
    with pytest.raises(StorageUnavailable, match="was replaced or removed"):
        copy_object(client, found, tmp_path / "copy")
    client.delete_object(Bucket=s3_bucket, Key=found.key)
    with pytest.raises(StorageUnavailable, match="was replaced or removed"):
        copy_object(client, found, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_t_be_written(listed, tmp_path):
    """The disk's fault, told with the object and the variable to set."""
    client, found = listed

    with pytest.raises(StorageError, match=r"Can't keep a copy of s3://.*EVERTRAIN_HOME"):
        copy_object(client, found, tmp_path / "gone" / "copy")


def test_other_refusals_are_told_as_the_store_s(listed, tmp_path, monkeypatch):
    """Wrong credentials, say."""
    _, found = listed
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with pytest.raises(StorageError, match="credentials are wrong"):
        copy_object(s3_client(), found, tmp_path / "copy")
