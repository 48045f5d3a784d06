"""Owns the proof R6: whatever a shadow does, the service answers as without one, and every row is counted."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict

import numpy as np
import psutil
from hostile import HARMS, HOSTILE, store_hostile
from resumable import prove
from services import PIPELINE, Callers, Reply, new_store, store_constant

from evertrain.bundles import load_bundle
from serving.fleet import Fleet, Served
from serving.recorder import Answered, KeepsNothing
from serving.server import listening
from serving.shadow.challenger import NICENESS
from serving.shadow.runner import Shadow
from serving.worker import make_server

CLAIM = (
    "10,000 requests each beside a challenger that raises, hangs, takes a gigabyte, is killed or is "
    "slow: all are answered by stable, every row is compared, failed or dropped; p99 is at most 1.1 "
    "times that of the service alone, or of one beside a process of as low a priority that has nothing "
    "to do with it"
)
ROUNDS, REQUESTS = 20, 500
"""In turns, so that whatever else the machine does falls on all alike: so often, so many requests."""
RATE, CALLERS = 400, 8
EVERY = 200
"""One request in so many is one that the challenger does its harm on."""
SETTLE_SECONDS = 0.25
"""A turn begins with new connections: what they cost isn't what is measured."""
LIVES_SECONDS = 2.0
"""After so long in its turn a challenger is killed, where that is its harm."""
QUEUED_BYTES = 256 << 10
STABLE = 1.0
STRANGER = f"""
import os
import numpy as np
os.nice({NICENESS})
while True:
    np.full(8 << 20, 1.5, np.float32).sum()
"""
"""Works all the time, as a slow challenger does; it neither knows the service nor is known to it."""


def trial(number: int) -> dict[str, int]:
    """The same requests in turns: to a service alone, to one with the shadow, to one beside a stranger."""
    kind = list(HARMS)[number % len(HARMS)]
    with tempfile.TemporaryDirectory(prefix="evertrain-R6-") as home, ExitStack() as running:
        store = new_store(home)
        stable, challenger = store_constant(store, STABLE), store_hostile(store, HARMS[kind])
        _, alone = running.enter_context(service(home, stable))
        process, shadowed = running.enter_context(service(home, stable, challenger))
        stranger = running.enter_context(a_stranger())
        turns: dict[str, list[list[Reply]]] = {"alone": [], "beside": [], "stranger": []}
        killed_seconds = 0.0
        for _ in range(ROUNDS):
            with stopped(process.pid):
                turns["alone"].append(ask(alone))
                stranger.send_signal(signal.SIGCONT)
                turns["stranger"].append(ask(alone))
                stranger.send_signal(signal.SIGSTOP)
            turns["beside"].append(ask(shadowed))
            killed_seconds += REQUESTS / RATE
            if kind == "killed" and killed_seconds >= LIVES_SECONDS:
                killed_seconds = 0.0
                signal_children(process.pid, signal.SIGKILL)
        process.terminate()
        told = json.loads(process.stdout.read()) if process.stdout else {}
    beside = [reply for replies in turns["beside"] for reply in replies]
    settled = told["compared"] + told["failed"] + told["dropped"]
    p99_us = {turn: find_p99_us(each) for turn, each in turns.items()}
    return {
        "requests": len(beside),
        "errors": sum(reply.status != 200 for reply in beside),
        "leaked": sum(reply.prediction != STABLE for reply in beside if reply.status == 200),
        "not_offered": abs(len(beside) - told["offered"]),
        "uncounted": abs(told["offered"] - settled) + told["under_way"],
        "p99_over": int(p99_us["beside"] > 1.1 * max(p99_us["alone"], p99_us["stranger"])),
        **{f"p99_us_{turn}_{kind}": figure for turn, figure in p99_us.items()},
        **{f"{what}_{kind}": int(told[what]) for what in ("compared", "failed", "dropped", "restarts")},
    }


def judge(totals: dict[str, int], _n: int) -> tuple[int, dict[str, float]]:
    """No error, no answer but stable's, no row without a count; p99 by kind."""
    broken = sum(totals[what] > 0 for what in ("errors", "leaked", "not_offered", "uncounted", "p99_over"))
    figures = {
        f"p99_ratio_{turn}_{kind}": totals[f"p99_us_{turn}_{kind}"] / totals[f"p99_us_alone_{kind}"]
        for kind in HARMS
        for turn in ("beside", "stranger")
        if f"p99_us_{turn}_{kind}" in totals
    }
    # Beside a shadow that did no harm nothing would be proved.
    happened = ("failed_raises", "compared_raises", "failed_hangs", "failed_allocates", "restarts_killed")
    idle = any(totals.get(what, 0) == 0 for what in (*happened, "dropped_slow"))
    return broken + idle, figures


def find_p99_us(turns: Sequence[Sequence[Reply]]) -> int:
    """Microseconds that all but a hundredth of the replies took less than, the turns' beginnings aside."""
    taken = []
    for replies in turns:
        settled = min(reply.began for reply in replies) + SETTLE_SECONDS
        taken += [reply.ended - reply.began for reply in replies if reply.began > settled]
    return int(1e6 * np.quantile(taken, 0.99))


def ask(address: str) -> list[Reply]:
    """One turn of requests to the service at *address*."""
    # Bodies are alike but for the one in so many, which has a caller of its own.
    few = REQUESTS // EVERY
    good, hostile = (
        Callers(address, rate, count, json.dumps({"instances": [{"x": x}]}).encode())
        for rate, count, x in ((RATE * (1 - 1 / EVERY), CALLERS, 1.0), (RATE / EVERY, 1, HOSTILE))
    )

    async def call() -> None:
        await asyncio.gather(good.call(REQUESTS - few), hostile.call(few))

    asyncio.run(call())
    return good.replies + hostile.replies


@contextmanager
def service(home: str, stable: str, challenger: str = "") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A service in a process of its own; gives it and its address."""
    words = [sys.executable, __file__, "serve", f"{home}/store", stable, challenger]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.terminate()
            process.wait(20)


class Offering(KeepsNothing):
    """Tells a shadow of each answer, once it was sent; a rollout's own wiring isn't what is proved here."""

    def __init__(self, shadow: Shadow | None) -> None:
        self._shadow = shadow

    def record_answer(self, answered: Answered) -> None:
        """Offer it."""
        if self._shadow is not None:
            signature = answered.served.bundle.signature
            self._shadow.offer(dict(answered.columns), answered.prediction, answered.seconds, signature)


def serve(store: str, stable: str, challenger: str) -> None:
    """Be a service until SIGTERM; tells its address, and at its end what the shadow counted."""
    fleet = Fleet()
    fleet.put(Served(PIPELINE, 1, 1, load_bundle(new_store(store.removesuffix("/store")), stable)))
    shadow = Shadow(store, challenger, most_queued_bytes=QUEUED_BYTES) if challenger else None
    with listening("127.0.0.1", 0) as listener, shadow or nullcontext():
        server = make_server(fleet, recorder=Offering(shadow))
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        # The server ends by a signal, and then raises it again: what the shadow counted is still to be told.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(sockets=[listener])
    print(json.dumps(asdict(shadow.counts()) if shadow else {}), flush=True)


@contextmanager
def a_stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that works as much as it may, and has nothing to do with the service; stopped at first."""
    with subprocess.Popen([sys.executable, "-c", STRANGER]) as process:
        try:
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.kill()


@contextmanager
def stopped(service_pid: int) -> Iterator[None]:
    """Keep the service's challenger, and each that is started in its place, from working."""
    over = threading.Event()

    def stop() -> None:
        while not over.wait(0.05):
            signal_children(service_pid, signal.SIGSTOP)

    signal_children(service_pid, signal.SIGSTOP)
    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        yield
    finally:
        over.set()
        stopping.join()
        signal_children(service_pid, signal.SIGCONT)


def signal_children(pid: int, number: signal.Signals) -> None:
    """Send the children of *pid* a signal; those that ended meanwhile get none."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            child.send_signal(number)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        prove("R6", CLAIM, trial, judge, n=len(HARMS))
