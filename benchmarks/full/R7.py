"""Owns the proof R7: a rollout whose controller is killed, wherever, costs no request and goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from resumable import prove
from services import BODY, PIPELINE, Callers, new_store, promote, register, serving, store_constant

from evertrain.failpoints import VARIABLE
from evertrain.release import ReleaseJournal, open_journal
from evertrain.release.rollouts import decide_rollout_started
from evertrain.rollout.beats import beat_key, parse_beat
from evertrain.storage import Store

CLAIM = (
    "the controller of a canary under 200 requests a second to two workers is killed at twelve places, "
    "fifteen times each: every request is answered, with nobody watching the canary answers nothing after "
    "3.5 s, the next controller has it in hand within 5 s and walks it to its one end, in one chain"
)
RATE, CALLERS = 200, 4
FAILING = BODY.replace(b"1.0", b"99.0")
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 100.0}
UNWATCHED_SECONDS, BOUND_SECONDS = 3.5, 60.0
PROGRAM = """
import sys
from evertrain.claims import claim
from evertrain.release import open_journal
from evertrain.rollout.controller import RolloutController
from evertrain.storage import attach_store

store = attach_store(sys.argv[1])
journal = open_journal(store, "flights", "controller")
with claim(journal, store, "rollout") as held:
    RolloutController(journal, store, fence=held.number).run()
"""


class Point(NamedTuple):
    """Where the controller is killed; ``kind`` is what the challenger or its callers are like."""

    place: str
    kind: str


POINTS = (
    *(Point(f"rollout-{when}-step{nth}", "good") for when in ("before", "after") for nth in ("", ":2")),
    *(Point(f"rollout-{when}-promote", "good") for when in ("before", "after")),
    *(Point(f"rollout-{when}-roll_back", "bad") for when in ("before", "after")),
    *(Point(f"rollout-{when}-pause", "unasked") for when in ("before", "after")),
    Point("claim-before-lease", "good"),
    Point("", "good"),
)
"""The last: killed from outside, in the middle of the first step."""


class Seen(NamedTuple):
    """What one killed controller came to."""

    unwatched: int
    in_hand_seconds: float
    champion: int
    entries: tuple[str, ...]


def trial(_number: int) -> dict[str, int]:
    """One service, and at each point a rollout of its own."""
    totals = {
        "requests": 0,
        "not_200": 0,
        "unwatched_answers": 0,
        "late": 0,
        "wrong_ends": 0,
        "in_hand_ms": 0,
    }
    with tempfile.TemporaryDirectory(prefix="evertrain-R7-") as home:
        store = new_store(home)
        promote(store, 1, store_constant(store, 1.0))
        champion = 1
        with serving(home, "--workers", "2") as (_, address):
            for version, point in enumerate(POINTS, 2):
                limit = 10.0 if point.kind == "bad" else None
                register(store, version, store_constant(store, float(version), fails_over=limit))
                callers = Callers(address, RATE, CALLERS, body=FAILING if point.kind == "bad" else BODY)
                seen = kill_at(store, callers, point, version)
                champion = champion if point.kind == "bad" else version
                totals["requests"] += len(callers.replies)
                totals["not_200"] += sum(reply.status != 200 for reply in callers.replies)
                totals["unwatched_answers"] += seen.unwatched
                totals["late"] += seen.in_hand_seconds > 5.0
                totals["in_hand_ms"] += round(1_000 * seen.in_hand_seconds)
                totals["wrong_ends"] += seen.champion != champion or not is_one_walk(seen.entries, point)
        totals["broken_chains"] = int(not open_journal(store, PIPELINE, "proof").verify().holds)
    return totals


def kill_at(store: Store, callers: Callers, point: Point, version: int) -> Seen:
    """Begin a rollout of *version*, kill its controller at *point*, start another, and see it end."""
    journal = open_journal(store, PIPELINE, "proof")
    strategy = {"type": "canary", "steps": [50, 75, 100], "bake_seconds": 0.3, "metric": None}
    journal.append(decide_rollout_started(version=version, strategy=strategy, guardrails=GUARDRAILS))
    first = journal.read()[1].number
    if point.kind == "unasked":
        died_of(start(store, point))
        with asking(callers):
            return after_kill(store, journal, callers, version, first)
    with asking(callers):
        died_of(start(store, point))
        return after_kill(store, journal, callers, version, first)


def after_kill(store: Store, journal: ReleaseJournal, callers: Callers, version: int, first: int) -> Seen:
    """Leave the rollout unwatched for a while, then have another controller walk it to its end."""
    killed = time.monotonic()
    ended = journal.read()[1].rollout is None
    if not ended:
        time.sleep(UNWATCHED_SECONDS + 1.0)
    again = time.monotonic()
    unwatched = sum(
        reply.version == version and killed + UNWATCHED_SECONDS < reply.began < again
        for reply in tuple(callers.replies)
    )
    in_hand = 0.0
    if not ended:
        next_one = start(store, None)
        in_hand = await_beat(store, next_one) - again
        if next_one.wait(BOUND_SECONDS):
            raise RuntimeError("The controller that took the rollout up failed.")
    entries, state = journal.read()
    kinds = tuple(entry.kind for entry in entries if entry.number > first)
    return Seen(0 if ended else unwatched, in_hand, state.champion or 0, kinds)


def is_one_walk(kinds: tuple[str, ...], point: Point) -> bool:
    """Whether a rollout took each of its steps once and ended once."""
    steps, ends = kinds.count("rollout_stepped"), kinds.count("promoted") + kinds.count("rollout_ended")
    return (steps, ends) == ((0 if point.kind == "bad" else 2), 1)


def start(store: Store, point: Point | None) -> subprocess.Popen[bytes]:
    """Start a controller that dies at *point*, or one that lives."""
    place = point.place if point else ""
    variables = {**os.environ, **({VARIABLE: place} if place else {})}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, store.where], env=variables)
    if point is not None and not place:
        await_beat(store, process)
        process.kill()
    return process


def died_of(process: subprocess.Popen[bytes]) -> None:
    """Wait until *process* was killed."""
    if process.wait(BOUND_SECONDS) != -9:
        raise RuntimeError(f"The controller ended with {process.returncode} and wasn't killed.")


def await_beat(store: Store, process: subprocess.Popen[bytes]) -> float:
    """Wait for the first beat of *process*, or for its end; gives the moment."""
    while process.poll() is None:
        try:
            beat = parse_beat(store.get(beat_key(PIPELINE)))
        except KeyError:
            beat = None
        if beat is not None and beat.owner.endswith(f"process {process.pid}"):
            break
        time.sleep(0.02)
    return time.monotonic()


@contextmanager
def asking(callers: Callers) -> Iterator[None]:
    """Have *callers* call, in a thread, for as long as the block runs."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(callers.call(10**6))

    def call() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            return

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """No request is lost, no canary answers unwatched, every rollout has its one end in time."""
    broken = ("not_200", "unwatched_answers", "late", "wrong_ends", "broken_chains")
    kills = n * len(POINTS)
    return sum(totals[name] > 0 for name in broken), {
        "kills": kills,
        "in_hand_mean_seconds": totals["in_hand_ms"] / kills / 1_000,
    }


if __name__ == "__main__":
    prove("R7", CLAIM, trial, judge, n=15)
