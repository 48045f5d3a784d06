"""Owns boto3: the one client with its time limits, and what S3's errors mean in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evertrain.errors import ConfigError, StorageError, StorageUnavailable

CONNECT_SECONDS = 5
READ_SECONDS = 30
_TRIES = 3
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")

_WRONG_KEY = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_BUSY = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "PreconditionFailed",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
    }
)
_ADVICE = {
    "NoSuchBucket": "there is no such bucket: create it, or correct its name",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the store's: set it",
}
_CREDENTIALS = (
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or the profile or role "
    "that they should come from."
)


def s3_client(*, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS) -> Any:
    """A boto3 client for S3 or what speaks its protocol; safe to share between threads.

    Credentials come from boto3's own chain, the address from AWS_ENDPOINT_URL.

    Args:
        connect_seconds: How long a connection may take.
        read_seconds: How long an answer may be silent. A failed request is sent at most three times.

    Raises:
        ConfigError: boto3 isn't installed, or its address, profile or another setting can't be used.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as cause:
        raise ConfigError("S3 needs boto3, which isn't installed: pip install 'evertrain[s3]'.") from cause

    # At an address of one's own a bucket's name is seldom a host's name too.
    style = "path" if any(os.environ.get(name) for name in _ENDPOINTS) else "auto"
    config = Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        s3={"addressing_style": style},
        # What isn't Amazon's often knows no trailing checksums; what must be whole is digested by us.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return boto3.session.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as cause:
        raise ConfigError(
            f"boto3 can't be set up for S3 ({type(cause).__name__}): expected AWS_ENDPOINT_URL to be an "
            "address like https://host:port, AWS_PROFILE and AWS_DEFAULT_REGION to exist. Correct these."
        ) from cause


@contextmanager
def s3_faults_told(what: str, where: str) -> Iterator[None]:
    """Raise what S3 refuses in the block as our errors.

    Args:
        what: What the block does, for the message: ``read 'a/b.parquet'``.
        where: The store or object: ``s3://bucket/prefix``.

    Raises:
        StorageUnavailable: It doesn't answer, or is busy: a later try may succeed.
        StorageError: It refuses: wrong credentials, no such bucket, no right. ``code`` among the attributes
            is S3's own.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as cause:
        kind, why = _explain_answer(cause, where)
        raise kind(f"Can't {what} in {where}: {why}", store=where, code=s3_error_code(cause)) from cause
    except BotoCoreError as cause:
        kind, why = _explain_fault(cause)
        raise kind(f"Can't {what} in {where}: {why}", store=where) from cause


def s3_error_code(error: Exception) -> str:
    """S3's own code of a botocore ClientError (``NoSuchKey``, ``PreconditionFailed``); else empty."""
    answer = getattr(error, "response", {})
    return str(answer.get("Error", {}).get("Code", ""))


def _explain_answer(error: Any, where: str) -> tuple[type[StorageError], str]:
    code = s3_error_code(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _BUSY or status == 429 or status >= 500:
        return StorageUnavailable, f"the store is busy or failing ({code or status}). Try again."
    if code in _WRONG_KEY:
        return StorageError, f"the credentials are wrong or have expired ({code}). {_CREDENTIALS}"
    if code in _ADVICE:
        return StorageError, f"{_ADVICE[code]} ({code})."
    if status in (401, 403):
        return StorageError, (
            f"these credentials have no right to do that ({code}). Allow them to list the bucket and to get, "
            "put and delete its objects."
        )
    return StorageError, f"it answered {code or status}. Look at what {where} is and who answers there."


def _explain_fault(error: Exception) -> tuple[type[StorageError], str]:
    from botocore import exceptions as vendor

    name = type(error).__name__
    # The vendor's own texts hold whole addresses, which may bear a password.
    if isinstance(error, vendor.NoCredentialsError | vendor.PartialCredentialsError):
        return StorageError, f"there are no credentials ({name}). {_CREDENTIALS}"
    if isinstance(error, vendor.SSLError):
        return (
            StorageError,
            f"its certificate isn't trusted ({name}). Set AWS_CA_BUNDLE, or mend the certificate.",
        )
    if isinstance(error, vendor.HTTPClientError | vendor.ConnectionError | vendor.IncompleteReadError):
        return StorageUnavailable, (
            f"it doesn't answer ({name}). Check AWS_ENDPOINT_URL and that the store runs, then try again."
        )
    return StorageError, f"boto3 refused ({name}). Check the bucket's name and boto3's own settings."
