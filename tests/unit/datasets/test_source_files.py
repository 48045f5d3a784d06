from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from evertrain.datasets.source_files import digest_files, format_of, match_files, read_head
from evertrain.errors import ConfigError, SourceError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.csv", "a.csv", ".hidden.csv", "deep/c.csv", "d.parquet"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x\n1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.csv", ["a.csv"]),
        ("*.csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "c.csv"]),
        ("[ab].csv", ["a.csv", "b.csv"]),
        ("deep/?.csv", ["c.csv"]),
        ("d*/*.csv", ["c.csv"]),
    ],
)
def test_matching_is_sorted_and_leaves_hidden_files_out(folder, pattern, names):
    """Paths and globs are matched in sort order."""
    assert [path.name for path in match_files(f"{folder}/{pattern}")] == names


def test_relative_paths_start_in_the_current_folder(folder, monkeypatch):
    """A relative pattern is looked for in the current folder and stays relative."""
    monkeypatch.chdir(folder)

    assert match_files("*.csv") == (Path("a.csv"), Path("b.csv"))


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path):
    """An existing path is taken as it is, whatever characters it holds."""
    for name in ("a[1].csv", "a1.csv"):
        (tmp_path / name).touch()

    assert match_files(f"{tmp_path}/a[1].csv") == (tmp_path / "a[1].csv",)


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("gs://bucket/x.parquet", ConfigError, "is no kind of address that evertrain reads"),
        ("{}", SourceError, r"is a folder; name its files, such as '.*\*\.parquet'"),
        ("{}/c.csv", SourceError, r"looked for 'c.csv' in /.*did you mean 'b.csv'"),
        ("{}/zzzzzz*", SourceError, r"there are: '.hidden.csv', 'a.csv'"),
        ("{}/nowhere/*.csv", SourceError, r"the folder /.*/nowhere doesn't exist"),
        ("{}/empty/*.csv", SourceError, r"it holds no files"),
    ],
)
def test_what_matches_nothing_is_told(folder, uri, error, message):
    """The refusal says where was looked and what is there."""
    (folder / "empty").mkdir()

    with pytest.raises(error, match=message):
        match_files(uri.format(folder))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.csv", "b.TSV", "c.txt", "d.csv.gz"], "csv"),
        (["a.json", "b.jsonl", "c.ndjson.gz"], "json"),
        (["a.parquet", "b.pq"], "parquet"),
    ],
)
def test_formats_by_suffix(names, expected):
    """The suffix tells the format, gzip is looked through."""
    assert format_of([Path(name) for name in names]) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.xlsx"], "'a.xlsx' is of no known format; expected one of .csv"),
        (["a"], "no known format"),
        (["a.parquet.gz"], "no known format"),
        (["a.csv", "b.json"], "'a.csv' is csv and 'b.json' is json"),
    ],
)
def test_unknown_and_mixed_formats_are_refused(names, message):
    """A source has one known format."""
    with pytest.raises(SourceError, match=message):
        format_of([Path(name) for name in names])


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_named(tmp_path, content):
    """A file with nothing in it is refused by name."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)

    with pytest.raises(SourceError, match=r"a.csv' is empty"):
        read_head(path)


def test_what_claims_to_be_gzip_must_be(tmp_path):
    """A damaged archive is refused by name; a sound one is looked into."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"x\n1\n"))
    assert read_head(path) == b"x\n1\n"

    for damaged in (b"x\n1\n", gzip.compress(b"x\n1\n" * 99)[:20]):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match=r"Can't read '.*a.csv.gz'"):
            read_head(path)


def test_files_that_may_not_be_read_are_named(tmp_path):
    """A missing permission is told with the file's name, when reading and when digesting."""
    path = tmp_path / "a.csv"
    path.symlink_to(path)

    for read in (read_head, lambda each: digest_files([each])):
        with pytest.raises(SourceError, match=r"Can't read '.*a.csv'"):
            read(path)


def test_the_digest_speaks_of_names_and_contents(folder, monkeypatch):
    """It changes with a name or a byte, and not with a time of writing."""
    monkeypatch.chdir(folder)
    digest = digest_files([Path("a.csv"), Path("b.csv")])
    os.utime("a.csv", (1, 1))

    assert digest_files([Path("a.csv"), Path("b.csv")]) == digest
    assert digest_files([Path("a.csv")]) != digest
    Path("b.csv").write_text("x\n2\n")
    assert digest_files([Path("a.csv"), Path("b.csv")]) != digest
