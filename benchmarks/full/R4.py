"""Owns the proof R4: a canary that begins to fail answers nobody a second later."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from resumable import prove
from services import BODY, PIPELINE, Callers, new_store, promote, register, serving, store_constant

from evertrain.claims import claim
from evertrain.release import open_journal
from evertrain.release.rollouts import decide_rollout_started
from evertrain.rollout.controller import RolloutController
from evertrain.storage import Store

CLAIM = (
    "a canary with a fifth of 400 requests a second to two workers begins to fail on half of the requests, a "
    "hundred times: every request is answered, the canary gives its last answer within a second of its first "
    "failure (in 99 of 100), and the journal says that it was rolled back"
)
RATE, SECONDS = 200, 3
FAILING = BODY.replace(b"1.0", b"99.0")
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 100.0}


class Ended(Exception):
    """The proof has seen enough."""


@contextmanager
def controlled(store: Store) -> Iterator[None]:
    """Walk the rollout in a thread."""
    over = threading.Event()

    def sleep(seconds: float) -> None:
        if over.wait(seconds):
            raise Ended

    def walk() -> None:
        journal = open_journal(store, PIPELINE, "controller")
        with suppress(Ended), claim(journal, store, "rollout") as held:
            RolloutController(journal, store, fence=held.number, sleep=sleep).run()

    thread = threading.Thread(target=walk)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def trial(_number: int) -> dict[str, int]:
    """One service with a canary: callers that it can answer, then others beside them that it can't."""
    with tempfile.TemporaryDirectory(prefix="evertrain-R4-") as home:
        store = new_store(home)
        promote(store, 1, store_constant(store, 1.0))
        register(store, 2, store_constant(store, 2.0, fails_over=10.0))
        journal = open_journal(store, PIPELINE, "proof")
        strategy = {"type": "canary", "steps": [20, 100], "bake_seconds": 600.0, "metric": None}
        journal.append(decide_rollout_started(version=2, strategy=strategy, guardrails=GUARDRAILS))
        with serving(home, "--workers", "2") as (_, address), controlled(store):
            good = Callers(address, RATE, count=4)
            while not any(reply.version == 2 for reply in good.replies):
                asyncio.run(good.call(RATE // 4))
            bad = Callers(address, RATE, count=4, body=FAILING)
            began = time.monotonic()
            asyncio.run(both(good, bad))
        state = journal.read()[1]
    canary = [reply.ended - began for reply in good.replies if reply.version == 2 and reply.ended > began]
    last = max(canary, default=0.0)
    return {
        "requests": len(good.replies) + len(bad.replies),
        "not_200": sum(reply.status != 200 for reply in (*good.replies, *bad.replies)),
        "by_failing_canary": sum(reply.version == 2 for reply in bad.replies),
        "over_a_second": int(last > 1.0),
        "last_answer_us": round(1e6 * last),
        "rolled_back": int(state.rollout is None and state.versions[2].status == "rejected"),
    }


async def both(*groups: Callers) -> None:
    """Have all groups of callers call for some seconds."""
    await asyncio.gather(*(group.call(RATE * SECONDS) for group in groups))


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Every request answered, one canary in a hundred over a second at most, each rolled back."""
    failed = (totals["not_200"] > 0) + (totals["by_failing_canary"] > 0)
    failed += (totals["over_a_second"] > n / 100) + (totals["rolled_back"] < n)
    return failed, {
        "last_answer_mean_seconds": totals["last_answer_us"] / n / 1e6,
        "over_a_second_share": totals["over_a_second"] / n,
    }


if __name__ == "__main__":
    prove("R4", CLAIM, trial, judge, n=100)
