"""Owns the store in a bucket of S3 or of what speaks its protocol; a conditional PUT decides who wins."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from evertrain.errors import ConfigError, StorageError, StorageUnavailable
from evertrain.failpoints import failpoint
from evertrain.storage.keys import check_key, check_prefix
from evertrain.storage.protocol import GONE
from evertrain.storage.s3_client import s3_client, s3_faults_told

SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_UNCHANGED = frozenset({"304", "NotModified"})
_LOST = "PreconditionFailed"


class S3Store:
    """A store in a bucket; needs the rights to list it, and to get, put and delete its objects.

    Args:
        where: ``s3://bucket`` or ``s3://bucket/prefix``.
        client: A boto3 client; default: ``s3_client()``, made when it is first needed.

    Raises:
        ConfigError: *where* names no bucket, or a prefix that can't begin a key.
    """

    def __init__(self, where: str, *, client: Any = None) -> None:
        bucket, _, prefix = where.removeprefix(SCHEME).partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise ConfigError(
                "EVERTRAIN_STORE names no bucket; expected s3://bucket/prefix, the bucket being 3 to 63 "
                "letters, digits, dots and dashes, without a password."
            )
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        try:
            check_prefix(self.prefix)
        except StorageError as cause:
            raise ConfigError(f"EVERTRAIN_STORE is {where!r}: {cause.message}") from cause
        self._given = client

    @property
    def where(self) -> str:
        """The address, without a closing slash."""
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def get(self, key: str) -> bytes | None:
        """See Store."""
        found = self._fetch(key)
        return None if found is None else found[0]

    def put(self, key: str, data: bytes) -> None:
        """See Store."""
        address = self._address(key)
        with self._told("write", key):
            failpoint("store-before-put")
            self._client.put_object(**address, Body=data)
            failpoint("store-after-put")

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See Store.

        An answer that was lost, or that a second try of the client's own made misleading, is settled by what
        is stored then.

        Raises:
            StorageUnavailable: Nothing is stored yet; the write may still arrive.
        """
        try:
            self._create(key, data)
        except StorageError as unclear:
            lost = unclear.attributes.get("code") == _LOST
            if not lost and not isinstance(unclear, StorageUnavailable):
                raise
            found = self.get(key)
            if found is None:
                raise
            return found == data
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """See Store."""
        check_prefix(prefix)
        root = f"{self.prefix}/" if self.prefix else ""
        with self._told("list", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=root + prefix
            )
            keys = [found["Key"].removeprefix(root) for page in pages for found in page.get("Contents", ())]
        # Not every store sorts as S3 does.
        return iter(sorted(keys))

    def delete(self, key: str) -> None:
        """See Store."""
        address = self._address(key)
        with self._told("delete", key):
            self._client.delete_object(**address)

    def age_seconds(self, key: str) -> float | None:
        """See Store. Both times are the store's own, in whole seconds."""
        address = self._address(key)
        try:
            with self._told("read the age of", key):
                answer = self._client.head_object(**address)
        except StorageError as refused:
            if refused.attributes.get("code") in _ABSENT:
                return None
            raise
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        written: datetime = answer["LastModified"]
        return max(0.0, (now - written).total_seconds())

    def get_if_changed(self, key: str, tag: str | None) -> tuple[bytes, str] | None:
        """See Store."""
        condition = {"IfNoneMatch": tag} if tag else {}
        try:
            found = self._fetch(key, **condition)
        except StorageError as refused:
            if refused.attributes.get("code") in _UNCHANGED:
                return None
            raise
        if found is None:
            return None if tag in (None, GONE) else (b"", GONE)
        return found

    def prepare(self) -> None:
        """Try put-if-absent on the bucket.

        Raises:
            StorageError: It can't be reached, isn't there, refuses, or lets a second writer win.
        """
        # Some stores make a bucket for whoever writes to it: a misspelt one must not pass.
        self.list("probes/")
        name = f"probes/{uuid.uuid4().hex}"
        first, second = (self.put_if_absent(name, text) for text in (b"1", b"2"))
        self.delete(name)
        if not first or second:
            raise StorageError(
                f"The store {self.where} let a second writer overwrite what a first had written; the journal "
                "would not be safe there. Set EVERTRAIN_STORE to one that knows PUT with If-None-Match.",
                store=self.where,
            )

    @cached_property
    def _client(self) -> Any:
        return self._given or s3_client()

    def _create(self, key: str, data: bytes) -> None:
        address = self._address(key)
        with self._told("write", key):
            failpoint("store-before-create")
            self._client.put_object(**address, Body=data, IfNoneMatch="*")
            failpoint("store-after-create")

    def _fetch(self, key: str, **condition: str) -> tuple[bytes, str] | None:
        address = self._address(key)
        try:
            with self._told("read", key):
                answer = self._client.get_object(**address, **condition)
                # Its own context manager would give the raw stream, whose errors aren't boto3's.
                with closing(answer["Body"]) as body:
                    return body.read(), answer["ETag"]
        except StorageError as refused:
            if refused.attributes.get("code") in _ABSENT:
                return None
            raise

    def _address(self, key: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self.bucket, "Key": f"{self.prefix}/{key}" if self.prefix else key}

    def _told(self, verb: str, key: str) -> AbstractContextManager[None]:
        return s3_faults_told(f"{verb} {key!r}", self.where)
