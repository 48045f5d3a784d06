"""Objects of a real S3 store as a source."""

from __future__ import annotations

import gzip

import pytest

from evertrain.datasets.queries import open_table
from evertrain.datasets.source_objects import local_copies, match_objects
from evertrain.datasets.source_reading import COPIES, digest_source, source_files
from evertrain.errors import ConfigError, EvertrainError, SourceError, StorageError, StorageUnavailable
from evertrain.sources import FilesSource


@pytest.fixture
def client(s3_server):
    return s3_server.client()


@pytest.fixture
def put(client, s3_bucket, monkeypatch, tmp_path):
    """Puts an object into a bucket of this test."""
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    return lambda key, body: client.put_object(Bucket=s3_bucket, Key=key, Body=body)


def read(uri):
    with source_files(FilesSource(type="files", uri=uri)) as paths, open_table(paths, None) as table:
        rows = table.fetch(*(cell.sql for cell in table.cells), rest="ORDER BY ALL")
        return [(column.name, column.type) for column in table.columns], rows


def test_globs_mean_what_they_mean_on_a_disk(put, s3_bucket):
    """One star stays between two slashes, two cross them; hidden keys and folders' marks are no data."""
    for key in ("a/1.csv", "a/2.csv", "a/b/3.csv", "a/b/c/4.csv", "a/.5.csv", "a/6.json", "a/[1].csv", "a/"):
        put(key, b"x\n1\n")

    def keys(pattern):
        return [each.key for each in match_objects(f"s3://{s3_bucket}/{pattern}")]

    assert keys("a/*.csv") == ["a/1.csv", "a/2.csv", "a/[1].csv"]
    assert keys("a/**/*.csv") == ["a/1.csv", "a/2.csv", "a/[1].csv", "a/b/3.csv", "a/b/c/4.csv"]
    assert keys("a/?.[cj]s*") == ["a/1.csv", "a/2.csv", "a/6.json"]
    assert keys("*/b/*.csv") == ["a/b/3.csv"]
    assert keys("a/[1].csv") == ["a/[1].csv"]
    assert keys("a/2.csv") == ["a/2.csv"]


def test_objects_are_read_like_files(put, s3_bucket):
    """Joined by column name, unzipped by suffix."""
    put("in/1.csv", b"a,b\n1,x\n")
    put("in/2.csv.gz", gzip.compress(b"b,a\ny,2\n"))
    put("in/3.jsonl", b'{"a": 3}\n')

    assert read(f"s3://{s3_bucket}/in/*.csv*") == ([("a", "integer"), ("b", "string")], [(1, "x"), (2, "y")])
    assert read(f"s3://{s3_bucket}/in/3.jsonl") == ([("a", "integer")], [(3,)])


def test_the_digest_is_that_of_the_listing(put, s3_bucket, client):
    """New bytes, a new object or one that is gone change it; reading isn't needed."""
    source = FilesSource(type="files", uri=f"s3://{s3_bucket}/in/*.csv")
    put("in/1.csv", b"a\n1\n")
    first = digest_source(source)
    put("other/1.csv", b"a\n1\n")
    put("in/1.csv", b"a\n1\n")
    assert digest_source(source) == first
    put("in/1.csv", b"a\n2\n")
    second = digest_source(source)
    put("in/2.csv", b"a\n2\n")

    assert len({first, second, digest_source(source)}) == 3
    client.delete_object(Bucket=s3_bucket, Key="in/2.csv")
    assert digest_source(source) == second


def test_only_what_changed_is_fetched_and_what_is_gone_is_removed(put, s3_bucket, client, tmp_path):
    """Copies are by ETag: an object that stays is copied once; the cache holds what is listed and no more."""
    uri = f"s3://{s3_bucket}/in/*.csv"
    put("in/1.csv", b"a\n1\n")
    put("in/2.csv", b"a\n2\n")
    with local_copies(uri, tmp_path) as copies:
        before = {each.key: (path, path.stat().st_ino) for path, each in copies.items()}
    put("in/2.csv", b"a\n22\n")
    put("in/3.csv", b"a\n3\n")
    client.delete_object(Bucket=s3_bucket, Key="in/3.csv")
    put("in/4.csv", b"a\n4\n")
    leftover = before["in/1.csv"][0].parent / ".tmp-killed"
    leftover.write_bytes(b"half")

    with local_copies(uri, tmp_path) as copies:
        after = {each.key: (path, path.stat().st_ino) for path, each in copies.items()}
        assert sorted(path.read_bytes() for path in copies) == [b"a\n1\n", b"a\n22\n", b"a\n4\n"]
        assert set(leftover.parent.iterdir()) == set(copies)

    assert after["in/1.csv"] == before["in/1.csv"]
    assert after["in/2.csv"][0] != before["in/2.csv"][0]


def test_a_copy_that_was_cut_off_is_fetched_anew(put, s3_bucket, tmp_path):
    """Its size tells."""
    put("1.csv", b"a\n1\n")
    uri = f"s3://{s3_bucket}/1.csv"
    with local_copies(uri, tmp_path) as copies:
        (path,) = copies
    path.write_bytes(b"a\n")

    with local_copies(uri, tmp_path) as copies:
        assert [each.read_bytes() for each in copies] == [b"a\n1\n"]


def test_a_fault_in_an_object_names_the_object(put, s3_bucket, tmp_path):
    """Not the copy of it, which nobody could mend."""
    put("in/1.csv", b"a,b\n1,2\n1,2,3\n")
    put("in/2.parquet", b"no parquet")

    for name, message in (("1.csv", "line 3: expected 2 fields"), ("2.parquet", "is not Parquet")):
        with pytest.raises(SourceError, match=message) as told:
            read(f"s3://{s3_bucket}/in/{name}")
        assert f"'s3://{s3_bucket}/in/{name}'" in told.value.message
        assert told.value.attributes["file"] == f"s3://{s3_bucket}/in/{name}"
        assert str(tmp_path) not in told.value.message


@pytest.mark.parametrize(
    ("uri", "kind", "message"),
    [
        ("s3://{}", ConfigError, "names no objects; expected one such as s3://bucket/prefix"),
        ("s3:///x.csv", ConfigError, "names no objects"),
        ("s3://*/x.csv", ConfigError, "names no objects"),
        ("s3://{}/in", SourceError, r"is a prefix; name its objects, such as 's3://.*/in/\*\.parquet'"),
        ("s3://{}/in/", SourceError, "is a prefix"),
        ("s3://{}/in/*.json", SourceError, "No object matches .*did you mean 's3://.*/in/1.csv'"),
        ("s3://{}/nowhere/*.csv", SourceError, "there is none of that prefix"),
        ("s3://no-such-{}/in/*.csv", StorageError, "there is no such bucket"),
    ],
)
def test_what_matches_nothing_is_told(put, s3_bucket, uri, kind, message):
    """Exit 3 where the objects aren't there, 5 where the store can't be asked."""
    put("in/1.csv", b"a\n1\n")

    with pytest.raises(EvertrainError, match=message) as told:
        match_objects(uri.format(s3_bucket))
    assert type(told.value) is kind


def test_wrong_credentials_and_a_store_that_is_away(put, s3_bucket, monkeypatch):
    """Both are the store's: exit 5, and only the second may pass."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match="credentials are wrong"):
        match_objects(f"s3://{s3_bucket}/1.csv")

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable, match="doesn't answer"):
        match_objects(f"s3://{s3_bucket}/1.csv")


def test_a_home_that_can_t_be_written(put, s3_bucket, tmp_path):
    """The disk's fault, with the variable that moves the cache."""
    put("1.csv", b"a\n1\n")
    (tmp_path / "home").write_text("a file")

    with pytest.raises(StorageError, match=r"Can't keep copies of s3://.* Set EVERTRAIN_HOME"):
        read(f"s3://{s3_bucket}/1.csv")
    assert (tmp_path / "home" / COPIES).parts[-2:] == ("cache", "objects")
