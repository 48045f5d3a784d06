"""Makes the two buckets where they aren't there yet, and tries each key for what it may and may not do.

Run once by `docker compose up`, before anything uses the store.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

WAIT_SECONDS = 120
PROBE = "probes/compose"
LOG = ("predictions/probes/compose", "labels/probes/compose")
"""Where the inference service adds what it was asked and told."""


def client_of(name: str) -> Any:
    """A client that signs as *name*, whose secret is in the environment."""
    return boto3.client(
        "s3",
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        aws_access_key_id=name,
        aws_secret_access_key=os.environ[f"STORE_{name.upper()}_SECRET"],
        region_name="us-east-1",
        config=Config(
            connect_timeout=3,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        ),
    )


def make_bucket(setup: Any, bucket: str) -> None:
    """Make *bucket* unless it is there."""
    if bucket not in {found["Name"] for found in setup.list_buckets()["Buckets"]}:
        setup.create_bucket(Bucket=bucket)


def try_write(name: str, bucket: str, key: str = PROBE) -> None:
    """Raise unless *name* can write to *bucket*: a healthy store may not be writable yet."""
    client_of(name).put_object(Bucket=bucket, Key=key, Body=b"1")
    client_of("setup").delete_object(Bucket=bucket, Key=key)


def may_write(name: str, bucket: str) -> bool:
    """Whether *name* can write to *bucket*."""
    try:
        try_write(name, bucket)
    except ClientError as refused:
        if refused.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
            return False
        raise
    return True


def prepare() -> None:
    """Make both buckets and see that the keys are what start.sh says."""
    setup = client_of("setup")
    for bucket in ("evertrain", "mlflow"):
        make_bucket(setup, bucket)
    try_write("worker", "evertrain")
    try_write("mlflow", "mlflow")
    client_of("inference").list_objects_v2(Bucket="evertrain", MaxKeys=1)
    for key in LOG:
        try_write("inference", "evertrain", key)
    for name, bucket in (("inference", "evertrain"), ("worker", "mlflow"), ("mlflow", "evertrain")):
        if may_write(name, bucket):
            raise SystemExit(f"The key of {name} can write to the bucket {bucket}; it must not.")


def main() -> None:
    """Try until it works, for two minutes."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            prepare()
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"The store can't be prepared: {type(error).__name__}: {error}")
            time.sleep(1)
        else:
            print("The store has its buckets, and each key its own rights.")
            return


if __name__ == "__main__":
    main()
