"""Owns which reader each kind of source has: all come as local files, and are alike from there on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from evertrain.datasets.source_files import digest_files, match_files
from evertrain.errors import EvertrainError
from evertrain.settings import read_settings
from evertrain.sources import FilesSource, Source, SqlSource

COPIES = Path("cache", "objects")


def digest_source(source: Source) -> str | None:
    """SHA-256 over what *source* holds, without reading its rows; imports nothing heavy.

    Returns:
        None where only its rows tell: a database's or a function's.

    Raises:
        ConfigError: The source can't be one.
        SourceError: There is no such file or object, or a file can't be read.
        StorageError: The bucket can't be listed.
    """
    if not isinstance(source, FilesSource):
        return None
    if not source.uri.startswith("s3://"):
        return digest_files(match_files(source.uri))
    from evertrain.datasets.source_objects import digest_objects, match_objects

    return digest_objects(match_objects(source.uri))


@contextmanager
def source_files(source: Source) -> Iterator[tuple[Path, ...]]:
    """Have the rows of *source* as files of one format, for as long as the block runs.

    Rows of databases and functions are staged in a temporary folder; objects of S3 are copied once to a
    cache in EVERTRAIN_HOME.

    Raises:
        ConfigError: The source isn't one, isn't allowed, or needs what isn't installed or set.
        SourceError: The data can't be had.
        ServiceError: The database can't be reached, or refuses this user.
        StorageError: The bucket can't be read, or this machine's disk not be written.
    """
    if isinstance(source, FilesSource):
        with _local_files(source.uri) as paths:
            yield paths
        return
    with TemporaryDirectory(prefix="evertrain-rows-") as folder:
        if isinstance(source, SqlSource):
            from evertrain.datasets.source_database import read_database

            yield read_database(source, Path(folder), os.environ)
        else:
            from evertrain.datasets.source_python import read_function

            yield read_function(source, Path(folder), read_settings())


@contextmanager
def _local_files(uri: str) -> Iterator[tuple[Path, ...]]:
    if not uri.startswith("s3://"):
        yield match_files(uri)
        return
    from evertrain.datasets.source_objects import local_copies

    with (
        local_copies(uri, read_settings().home / COPIES) as copies,
        _told_by_address({str(path): each.uri for path, each in copies.items()}),
    ):
        yield tuple(copies)


@contextmanager
def _told_by_address(addresses: Mapping[str, str]) -> Iterator[None]:
    """Say in errors which object is meant, not which copy of it was read."""
    try:
        yield
    except EvertrainError as error:
        message = error.message
        for path, address in addresses.items():
            message = message.replace(path, address)
        if message == error.message:
            raise
        told = {key: addresses.get(str(value), value) for key, value in error.attributes.items()}
        raise type(error)(message, **told) from error.__cause__
