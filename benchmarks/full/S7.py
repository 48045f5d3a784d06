"""Owns the proof S7: bodies over the limit cost the service no memory, however they are sent."""

from __future__ import annotations

import gzip
import http.client
import tempfile
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
from resumable import prove
from services import PIPELINE, new_store, promote, serving, store_constant

CLAIM = (
    "10,000 bodies of 2 MiB, plain, in chunks and as gzip bombs: each is answered 413, and the memory of the "
    "service grows by less than 50 MiB"
)
REQUESTS, SIZE = 1_000, 2 << 20
PATH = f"/models/{PIPELINE}/invocations"


def trial(_number: int) -> dict[str, int]:
    """A fresh service, a few requests to warm it, then the oversized ones."""
    plain = b" " * SIZE
    bomb = gzip.compress(plain * 8)
    with tempfile.TemporaryDirectory(prefix="evertrain-S7-") as home:
        store = new_store(home)
        promote(store, 1, store_constant(store, 1.0))
        with serving(home) as (process, address):
            parts = urlsplit(address)
            service = psutil.Process(process.pid)
            statuses = [_send(parts.netloc, kind, plain, bomb) for kind in ("plain", "chunks", "bomb")] * 3
            before = service.memory_info().rss
            grown = 0
            for number in range(REQUESTS):
                kind = ("plain", "chunks", "bomb")[number % 3]
                statuses.append(_send(parts.netloc, kind, plain, bomb))
                if number % 50 == 0:
                    grown = max(grown, service.memory_info().rss - before)
    return {
        "requests": REQUESTS,
        "not_413": sum(status != 413 for status in statuses),
        "grown_over_50_mib": int(grown > 50 << 20),
        "grown_mib": grown >> 20,
    }


def _send(netloc: str, kind: str, plain: bytes, bomb: bytes) -> int:
    connection = http.client.HTTPConnection(netloc, timeout=30)
    headers = {"content-type": "application/json"}
    try:
        if kind == "chunks":
            connection.request("POST", PATH, _pieces(plain), headers, encode_chunked=True)
        elif kind == "bomb":
            connection.request("POST", PATH, bomb, {**headers, "content-encoding": "gzip"})
        else:
            connection.request("POST", PATH, plain, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _pieces(body: bytes) -> Iterator[bytes]:
    for place in range(0, len(body), 1 << 16):
        yield body[place : place + (1 << 16)]


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Every one is refused, and none of them stays in memory."""
    broken = sum(totals[name] > 0 for name in ("not_413", "grown_over_50_mib"))
    return broken, {"mean_grown_mib": totals["grown_mib"] / n}


if __name__ == "__main__":
    prove("S7", CLAIM, trial, judge, n=10)
