"""Owns the proof R2: once a promotion is acknowledged no request is answered by the old version any more."""

from __future__ import annotations

import asyncio
import tempfile
import time
from itertools import pairwise

from resumable import prove
from services import PIPELINE, Callers, new_store, promote, serving, store_constant

from evertrain.rollout.replicas import await_acknowledged
from evertrain.storage import Store

CLAIM = (
    "200 promotions under 200 requests a second to four workers: no request that began after a promotion was "
    "acknowledged is answered by an older version, the version that one kept connection sees never goes "
    "back, and each is acknowledged by every worker within ten seconds"
)
RATE, PROMOTIONS, WORKERS, CALLERS = 200, 20, 4, 8


def trial(_number: int) -> dict[str, int]:
    """One service, asked without a pause, and promotions one after the other, each acknowledged."""
    with tempfile.TemporaryDirectory(prefix="evertrain-R2-") as home:
        store = new_store(home)
        bundles = [store_constant(store, float(version)) for version in range(PROMOTIONS + 2)]
        promote(store, 1, bundles[1])
        with serving(home, "--workers", str(WORKERS)) as (_, address):
            callers = Callers(address, RATE, CALLERS)
            acknowledged = asyncio.run(_promote_while_asked(callers, store, bundles))
    answered = [reply for reply in callers.replies if reply.status == 200]
    return {
        "requests": len(callers.replies),
        "promotions": PROMOTIONS,
        "failed": len(callers.replies) - len(answered),
        "stale": sum(
            reply.version < version
            for version, moment, _ in acknowledged
            for reply in answered
            if reply.began > moment
        ),
        "went_back": sum(_count_steps_back(callers, caller) for caller in range(CALLERS)),
        "unacknowledged": sum(count != WORKERS for _, _, count in acknowledged),
    }


async def _promote_while_asked(
    callers: Callers, store: Store, bundles: list[str]
) -> list[tuple[int, float, int]]:
    """Each promoted version, the moment at which it was acknowledged, and by how many workers."""
    acknowledged = []
    asking = asyncio.create_task(callers.call(10**6))
    for version in range(2, PROMOTIONS + 2):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(promote, store, version, bundles[version])
        count, late = await asyncio.to_thread(await_acknowledged, store, PIPELINE, version)
        acknowledged.append((version, time.monotonic(), count if not late else 0))
    await asyncio.sleep(0.5)
    asking.cancel()
    return acknowledged


def _count_steps_back(callers: Callers, caller: int) -> int:
    seen = [reply.version for reply in callers.replies if reply.caller == caller and reply.status == 200]
    return sum(later < earlier for earlier, later in pairwise(seen))


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Not one stale answer, not one step back, and none that wasn't answered."""
    broken = ("failed", "stale", "went_back", "unacknowledged")
    figures = {"requests_each": totals["requests"] / n}
    return sum(totals[name] > 0 for name in broken), figures


if __name__ == "__main__":
    prove("R2", CLAIM, trial, judge, n=10)
