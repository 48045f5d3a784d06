"""Owns the proof R3: a forest that is loaded and verified beside the service costs its callers little."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from resumable import prove
from services import PIPELINE, Callers, new_store, serving

from evertrain.release import decide_rolled_back, open_journal
from serving.fleet import Fleet, Served

CLAIM = (
    "fifty swaps between two forests of a hundred trees at 200 requests a second: around a swap the p99 "
    "is at most twice that of quiet seconds and 25 ms above it; the swap itself takes under 5 ms"
)
SWAPS, PAUSE_SECONDS, RATE = 10, 4.0, 200
BUCKET_SECONDS = 0.00025
FOREST = (
    "training.estimator=sklearn.ensemble.RandomForestClassifier",
    "training.params={n_estimators: 100, max_leaf_nodes: 200}",
)
ROW = {"sched_dep_time": 600, "sched_arr_time": 800, "distance": 500, "hour": 6}
BODY = json.dumps({"instances": [{**ROW, "carrier": "UA", "origin": "EWR", "dest": "ORD"}]}).encode()
ROOT = Path(__file__).parents[2]


def trial(_number: int) -> dict[str, int]:
    """Train two forests, serve them, and go back and forth between them while they are asked."""
    with tempfile.TemporaryDirectory(prefix="evertrain-R3-") as home:
        for as_of in ("2013-05-01", "2013-06-01"):
            train(home, as_of)
        with serving(home) as (_, address):
            callers = Callers(address, RATE, body=BODY)
            swaps = asyncio.run(ask_and_swap(callers, home))
    counts: Counter[str] = Counter(requests=len(callers.replies))
    counts["failed"] = sum(reply.status != 200 for reply in callers.replies)
    counts["versions"] = len({reply.version for reply in callers.replies})
    for reply in callers.replies:
        near = any(-0.5 <= reply.began - swap <= 2.0 for swap in swaps)
        counts[f"{'around' if near else 'quiet'}_{round((reply.ended - reply.began) / BUCKET_SECONDS)}"] += 1
    return {**counts, "swaps": SWAPS, "flip_over_5_ms": int(time_flip() > 0.005)}


def train(home: str, as_of: str) -> None:
    """Train and promote one forest; every gate is left out, for it is the swap that is measured."""
    words = [sys.executable, "-m", "evertrain.cli", "train", "configs/flights.yaml", "--as-of", as_of]
    sets = [part for each in (*FOREST, "evaluation.gates=[]") for part in ("--set", each)]
    environment = {**os.environ, "EVERTRAIN_HOME": home, "CI": "true"}
    subprocess.run([*words, *sets], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)


async def ask_and_swap(callers: Callers, home: str) -> list[float]:
    """Ask at a steady rate; swap the champion every few seconds. Gives when each was asked for."""
    journal = open_journal(new_store(home), PIPELINE, "proof")
    moments = []

    async def swap() -> None:
        for number in range(SWAPS):
            await asyncio.sleep(PAUSE_SECONDS)
            moments.append(time.monotonic())
            back = decide_rolled_back(to=1 + number % 2, reason="for the proof")
            await asyncio.to_thread(journal.append, back)

    await asyncio.gather(callers.call(int(RATE * PAUSE_SECONDS * (SWAPS + 1))), swap())
    return moments


def time_flip() -> float:
    """The longest of a thousand swaps of one reference among a hundred models."""
    fleet = Fleet()
    bundle: object = object()
    for number in range(100):
        fleet.put(Served(f"model{number}", 1, 1, bundle))  # type: ignore[arg-type]
    longest = 0.0
    for version in range(1_000):
        began = time.perf_counter()
        fleet.put(Served("model50", version, version, bundle))  # type: ignore[arg-type]
        longest = max(longest, time.perf_counter() - began)
    return longest


def quantile(totals: dict[str, int], kind: str, share: float) -> float:
    """The seconds that *share* of the requests of *kind* took at most."""
    found = {
        int(name.partition("_")[2]): count for name, count in totals.items() if name.startswith(f"{kind}_")
    }
    left = share * sum(found.values())
    for bucket in sorted(found):
        left -= found[bucket]
        if left <= 0:
            return bucket * BUCKET_SECONDS
    return 0.0


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Each part of the claim, over all trials."""
    quiet, around = quantile(totals, "quiet", 0.99), quantile(totals, "around", 0.99)
    for name in [name for name in totals if name.startswith(("quiet_", "around_"))]:
        del totals[name]
    failed = (totals["failed"] > 0) + (totals["flip_over_5_ms"] > 0) + (totals["versions"] != 2 * n)
    failed += (around > 2 * quiet) + (around - quiet > 0.025)
    return failed, {"quiet_p99_ms": 1000 * quiet, "around_p99_ms": 1000 * around}


if __name__ == "__main__":
    prove("R3", CLAIM, trial, judge, n=5)
