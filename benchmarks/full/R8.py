"""Owns the proof R8: a worker that is killed costs its own requests under way, and comes back no older."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time

import psutil
from resumable import prove
from services import Callers, new_store, promote, serving, store_constant

CLAIM = (
    "kill -9 of one of two workers at 200 requests a second, right after a promotion, fifty times: no more "
    "requests fail than there are callers, another worker takes its place, and from 1.5 s on all answer by "
    "the new version"
)
RATE, SECONDS, CALLERS = 200, 5, 8
KILL_AFTER_SECONDS, FOLLOWED_SECONDS = 1.5, 1.5


def trial(number: int) -> dict[str, int]:
    """Promote, kill a worker in the same moment, go on asking."""
    with tempfile.TemporaryDirectory(prefix="evertrain-R8-") as home:
        store = new_store(home)
        bundles = [store_constant(store, float(value)) for value in range(3)]
        promote(store, 1, bundles[1])
        with serving(home, "--workers", "2") as (process, address):
            callers = Callers(address, RATE, CALLERS)
            workers = workers_of(process.pid)
            killed = asyncio.run(_ask_and_kill(callers, workers[number % 2], store, bundles[2]))
            again = set(workers_of(process.pid)) - set(workers)
    failed = [reply for reply in callers.replies if reply.status != 200]
    late = [reply for reply in callers.replies if reply.began > killed + FOLLOWED_SECONDS]
    return {
        "requests": len(callers.replies),
        "failed": len(failed),
        "failed_over_callers": int(len(failed) > CALLERS),
        "failed_later": sum(reply.began > killed + 1.0 for reply in failed),
        "older_version_later": sum(reply.status == 200 and reply.version != 2 for reply in late),
        "answered_later": len(late),
        "not_replaced": int(len(again) != 1),
    }


def workers_of(service: int) -> list[int]:
    """The processes that answer; what takes the log to the store is a child of the service too."""
    children = psutil.Process(service).children()
    return [child.pid for child in children if not any("shipper" in word for word in child.cmdline())]


async def _ask_and_kill(callers: Callers, worker: int, store: object, bundle: str) -> float:
    async def kill() -> float:
        await asyncio.sleep(KILL_AFTER_SECONDS)
        await asyncio.to_thread(promote, store, 2, bundle)  # type: ignore[arg-type]
        os.kill(worker, signal.SIGKILL)
        return time.monotonic()

    _, killed = await asyncio.gather(callers.call(RATE * SECONDS), kill())
    return killed


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Each kill may cost what was under way, and nothing after it."""
    broken = ("failed_over_callers", "failed_later", "older_version_later", "not_replaced")
    failed = sum(totals[name] > 0 for name in broken) + (totals["answered_later"] == 0)
    return failed, {"failed_each_kill": totals["failed"] / n}


if __name__ == "__main__":
    prove("R8", CLAIM, trial, judge, n=50)
