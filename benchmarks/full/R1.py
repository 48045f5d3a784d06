"""Owns the proof R1: promotions under load drop no request, and no answer is another version's."""

from __future__ import annotations

import asyncio
import tempfile

from resumable import prove
from services import Callers, new_store, promote, serving, store_constant

CLAIM = (
    "10,000 requests at 400 a second during 50 promotions, thirty times over, to two workers: no connection "
    "breaks, every answer is 200, and each prediction is what the version in its header answers"
)
REQUESTS, RATE, PROMOTIONS = 10_000, 400, 50
VALUES = 64


def trial(_number: int) -> dict[str, int]:
    """One service, a caller's 10,000 requests, and a promotion every half a second."""
    with tempfile.TemporaryDirectory(prefix="evertrain-R1-") as home:
        store = new_store(home)
        bundles = [store_constant(store, float(value)) for value in range(VALUES)]
        promote(store, 1, bundles[1])

        async def promote_often() -> None:
            for version in range(2, PROMOTIONS + 2):
                await asyncio.sleep(REQUESTS / RATE / (PROMOTIONS + 1))
                await asyncio.to_thread(promote, store, version, bundles[version % VALUES])

        async def both(callers: Callers) -> None:
            await asyncio.gather(callers.call(REQUESTS), promote_often())

        with serving(home, "--workers", "2") as (_, address):
            callers = Callers(address, RATE)
            asyncio.run(both(callers))
    replies = callers.replies
    return {
        "requests": len(replies),
        "promotions": PROMOTIONS,
        "broken_connections": sum(reply.status == 0 for reply in replies),
        "not_200": sum(reply.status not in (0, 200) for reply in replies),
        "wrong_answers": sum(
            reply.status == 200 and reply.prediction != float(reply.version % VALUES) for reply in replies
        ),
        "versions_seen": len({reply.version for reply in replies}),
    }


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """None may break, be refused, or be answered by another version than its header names."""
    broken = ("broken_connections", "not_200", "wrong_answers")
    failed = sum(totals[name] > 0 for name in broken)
    too_few = totals["versions_seen"] < 0.9 * totals["promotions"]
    share = 3 / totals["requests"]
    return failed + too_few, {"failure_share_below": share, "versions_seen_each": totals["versions_seen"] / n}


if __name__ == "__main__":
    prove("R1", CLAIM, trial, judge, n=30)
