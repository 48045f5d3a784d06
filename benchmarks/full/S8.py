"""Owns the proof S8: neither slow clients nor three times what it can answer stop the service."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
from resumable import prove
from services import Callers, Reply, new_store, promote, serving, store_constant

CLAIM = (
    "500 connections that send a byte a second for a minute leave the p99 of others within twice its own; of "
    "three times what it can answer the rest is told 503 at once, the p99 of what is answered is within "
    "twice that of its full load, and two seconds later all is as before"
)
ROWS, CALLERS, MANY = 500, 32, 160
FULL_SECONDS, SLOW_SECONDS, OVER_SECONDS = 8, 60, 15
SLOW_CLIENTS = 500
BODY = json.dumps({"instances": [{"x": float(row)} for row in range(ROWS)]}).encode()


def trial(_number: int) -> dict[str, int]:
    """One service on one core, its callers on the other."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="evertrain-S8-") as home:
        store = new_store(home)
        promote(store, 1, store_constant(store, 1.0))
        with serving(home, cores=[0]) as (_, address):
            return asyncio.run(_measure(address))


async def _measure(address: str) -> dict[str, int]:
    await _ask(address, 1e6, 2, CALLERS)
    full = await _ask(address, 1e6, FULL_SECONDS, CALLERS)
    capacity = len(full) / FULL_SECONDS
    alone = await _ask(address, 0.3 * capacity, 10, 8)
    beside_slow = await _beside_slow(address, 0.3 * capacity)
    over = await _ask(address, 3 * capacity, OVER_SECONDS, MANY)
    await asyncio.sleep(2)
    after = await _ask(address, 0.3 * capacity, 10, 8)
    refused = [reply for reply in over if reply.status != 200]
    figures = {
        "full_p99": _p99(full),
        "alone_p99": _p99(alone),
        "beside_slow_p99": _p99(beside_slow),
        "over_p99": _p99([reply for reply in over if reply.status == 200]),
        "refused_p99": _p99(refused) if refused else 0,
        "after_p99": _p99(after),
    }
    return {
        **{f"{name}_us": round(1e6 * seconds) for name, seconds in figures.items()},
        "capacity": round(capacity),
        "over": len(over),
        "over_refused": len(refused),
        "broken": sum(reply.status not in (200, 503) for reply in over),
        "calm_not_200": sum(reply.status != 200 for reply in [*full, *alone, *beside_slow, *after]),
    }


async def _ask(address: str, rate: float, seconds: float, count: int) -> Sequence[Reply]:
    callers = Callers(address, rate, count, body=BODY)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await callers.call(round(min(rate, 20_000) * seconds))
    return callers.replies


async def _beside_slow(address: str, rate: float) -> Sequence[Reply]:
    parts = urlsplit(address)

    async def connect() -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"POST /invocations HTTP/1.1\r\nx: ")
        return writer

    writers = list(await asyncio.gather(*(connect() for _ in range(SLOW_CLIENTS))))

    async def drip() -> None:
        while True:
            await asyncio.sleep(1)
            for place, writer in enumerate(writers):
                # Whom the service has closed the door on comes back.
                if writer.is_closing():
                    writers[place] = await connect()
                else:
                    writer.write(b"y")

    dripping = asyncio.create_task(drip())
    replies = await _ask(address, rate, SLOW_SECONDS, 8)
    dripping.cancel()
    for writer in writers:
        writer.close()
    return replies


def _p99(replies: Sequence[Reply]) -> float:
    return float(np.quantile([reply.ended - reply.began for reply in replies], 0.99))


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Each part of the claim, over the means of all trials."""
    parts = {
        "slow_ratio": totals["beside_slow_p99_us"] / totals["alone_p99_us"],
        "over_ratio": totals["over_p99_us"] / totals["full_p99_us"],
        "after_ratio": totals["after_p99_us"] / totals["alone_p99_us"],
    }
    failed = sum(ratio > 2 for ratio in parts.values())
    failed += (totals["broken"] > 0) + (totals["calm_not_200"] > 0) + (totals["over_refused"] == 0)
    figures = {**parts, "refused_p99_ms": totals["refused_p99_us"] / n / 1000}
    return failed, {**figures, "capacity": totals["capacity"] / n}


if __name__ == "__main__":
    prove("S8", CLAIM, trial, judge, n=3)
