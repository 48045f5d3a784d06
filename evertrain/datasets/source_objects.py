"""Owns which objects of S3 a source names, their digest, and the local copies they are read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from evertrain.canonical import digest_of
from evertrain.datasets.hints import name_closest
from evertrain.errors import ConfigError, SourceError, StorageError
from evertrain.locks import locked
from evertrain.storage.objects import RemoteObject, copy_object, list_objects
from evertrain.storage.s3_client import s3_client

SCHEME = "s3://"
COPIES_AT_ONCE = 8
_MAGIC = frozenset("*?[")


def match_objects(uri: str) -> tuple[RemoteObject, ...]:
    """Find the objects that *uri* names: one key, or a glob (``**`` crosses slashes), by key.

    Raises:
        ConfigError: *uri* names no object.
        SourceError: There is no such object.
        StorageError: The bucket can't be listed.
    """
    bucket, _, pattern = uri.removeprefix(SCHEME).partition("/")
    if not bucket or not pattern or _MAGIC & set(bucket):
        raise ConfigError(
            f"data.source.uri: {uri!r} names no objects; expected one such as s3://bucket/prefix/*.parquet.",
            path="data.source.uri",
        )
    start = next((place for place, letter in enumerate(pattern) if letter in _MAGIC), len(pattern))
    listed = [each for each in list_objects(bucket, pattern[:start]) if not _is_hidden(each.key)]
    # What looks like a glob may be a key.
    found = [each for each in listed if each.key == pattern] or [
        each for each in listed if _matches(each.key.split("/"), pattern.split("/"))
    ]
    if not found:
        raise SourceError(_nothing_found(uri, listed), uri=uri)
    return tuple(found)


def digest_objects(found: Sequence[RemoteObject]) -> str:
    """SHA-256 over the objects' names, ETags and sizes; none of them is read."""
    return digest_of([[each.uri, each.etag, each.size_bytes] for each in found])


@contextmanager
def local_copies(uri: str, folder: Path) -> Iterator[dict[Path, RemoteObject]]:
    """Have a copy of each object that *uri* names, of which nobody takes one away while the block runs.

    Others who want objects of the same *uri* wait meanwhile.

    Args:
        uri: The source's.
        folder: Keeps the copies for the next time: what didn't change isn't fetched again, what is no longer
            there is removed.

    Yields:
        The copies by path, in the objects' order; their names end as the objects' do.

    Raises:
        ConfigError: *uri* names no object.
        SourceError: There is no such object.
        StorageError: The bucket can't be listed or read, or *folder* not be written.
    """
    found = match_objects(uri)
    copies = folder / digest_of(uri)[:16]
    wanted = {copies / _name_copy(each): each for each in found}
    with ExitStack() as held:
        try:
            held.enter_context(locked(copies.with_suffix(".lock")))
            _update(copies, wanted)
        except OSError as cause:
            raise StorageError(
                f"Can't keep copies of {uri} in {folder}: {cause.strerror or cause}. Set EVERTRAIN_HOME to a "
                "writable folder."
            ) from cause
        yield wanted


def _update(copies: Path, wanted: dict[Path, RemoteObject]) -> None:
    copies.mkdir(exist_ok=True)
    _fetch({path: each for path, each in wanted.items() if not _is_whole(path, each)})
    for path in set(copies.iterdir()) - set(wanted):
        path.unlink()


def _fetch(missing: dict[Path, RemoteObject]) -> None:
    if not missing:
        return
    client = s3_client()
    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        for _ in pool.map(lambda path: copy_object(client, missing[path], path), missing):
            pass


def _is_whole(path: Path, wanted: RemoteObject) -> bool:
    return path.is_file() and path.stat().st_size == wanted.size_bytes


def _name_copy(wanted: RemoteObject) -> str:
    # Readers tell formats by suffixes; a key may be longer than a file's name.
    return f"{digest_of(list(wanted))[:16]}-{PurePosixPath(wanted.key).name[-80:]}"


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns or not names:
        return not patterns and not names
    if patterns[0] == "**":
        return any(_matches(names[skipped:], patterns[1:]) for skipped in range(len(names)))
    return fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])


def _is_hidden(key: str) -> bool:
    # A key that ends with a slash is how consoles show an empty folder.
    return key.endswith("/") or key.rpartition("/")[2].startswith(".")


def _nothing_found(uri: str, listed: Sequence[RemoteObject]) -> str:
    if not _MAGIC & set(uri) and any(each.uri.startswith(uri.rstrip("/") + "/") for each in listed):
        return f"{uri!r} is a prefix; name its objects, such as '{uri.rstrip('/')}/*.parquet'."
    hint = (
        name_closest(uri, [each.uri for each in listed[:1000]]) if listed else "there is none of that prefix."
    )
    return f"No object matches {uri!r}: {hint} Check data.source.uri."
