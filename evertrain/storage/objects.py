"""Owns objects of S3 that others wrote: listing them and copying them here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from evertrain.errors import StorageError, StorageUnavailable
from evertrain.storage.files import sync_folder, temporary_path
from evertrain.storage.s3_client import s3_client, s3_faults_told

_CHUNK_BYTES = 1 << 20
_REPLACED = ("PreconditionFailed", "NoSuchKey")


class RemoteObject(NamedTuple):
    """One object as its bucket lists it; another ``etag`` means other bytes."""

    bucket: str
    key: str
    etag: str
    size_bytes: int

    @property
    def uri(self) -> str:
        """Its address."""
        return f"s3://{self.bucket}/{self.key}"


def list_objects(bucket: str, prefix: str) -> Iterator[RemoteObject]:
    """Every object of *bucket* whose key begins with *prefix*, by key.

    Raises:
        StorageError: There is no such bucket, no right to list it, or no answer.
    """
    with s3_faults_told("list objects", f"s3://{bucket}/{prefix}"):
        pages = s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for each in page.get("Contents", ()):
                yield RemoteObject(bucket, each["Key"], each["ETag"].strip('"'), each["Size"])


def copy_object(client: Any, wanted: RemoteObject, path: Path) -> None:
    """Copy *wanted* to *path*, whole or not at all.

    Args:
        client: From ``s3_client``; may be shared between threads.
        wanted: The object.
        path: In a folder that exists.

    Raises:
        StorageUnavailable: It was replaced since it was listed, or the store doesn't answer.
        StorageError: It may not be read, or *path* not be written.
    """
    temp = temporary_path(path.parent)
    try:
        _download(client, wanted, temp)
        temp.replace(path)
        sync_folder(path.parent)
    except OSError as cause:
        raise StorageError(
            f"Can't keep a copy of {wanted.uri} in {path.parent}: {cause.strerror or cause}. Free some space "
            "there, or set EVERTRAIN_HOME to a writable folder."
        ) from cause
    finally:
        temp.unlink(missing_ok=True)


def _download(client: Any, wanted: RemoteObject, temp: Path) -> None:
    try:
        with s3_faults_told("read", wanted.uri):
            answer = client.get_object(Bucket=wanted.bucket, Key=wanted.key, IfMatch=f'"{wanted.etag}"')
            with temp.open("xb") as file:
                for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                found_bytes = file.tell()
    except StorageError as refused:
        if refused.attributes.get("code") in _REPLACED:
            raise _replaced(wanted) from refused
        raise
    if found_bytes != wanted.size_bytes:
        raise _replaced(wanted)


def _replaced(wanted: RemoteObject) -> StorageUnavailable:
    return StorageUnavailable(f"{wanted.uri} was replaced or removed while it was to be read. Try again.")


def put_file(path: Path, uri: str) -> None:
    """Put the file *path* at ``s3://bucket/key``; large ones in parts, and nothing is there until all are.

    Raises:
        StorageError: It may not be written, or the store doesn't answer.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with s3_faults_told("write", uri):
        s3_client().upload_file(str(path), bucket, key)
