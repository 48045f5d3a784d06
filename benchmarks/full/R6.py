"""Owns the proof R6: whatever a shadow does, the service answers as without one, and every row is counted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict

import numpy as np
from onnx import TensorProto, helper
from resumable import prove
from services import PIPELINE, SIGNATURE, Callers, Reply, new_store, store_constant

from evertrain.bundle_files import Golden, write_bundle
from evertrain.bundles import load_bundle
from evertrain.canonical import canonical_json
from evertrain.storage import Store
from serving.fleet import Fleet, Served
from serving.recorder import Answered, KeepsNothing
from serving.server import listening
from serving.shadow.runner import Shadow
from serving.worker import make_server

CLAIM = (
    "10,000 requests each beside a challenger that raises, hangs, takes a gigabyte, is killed or is slow: "
    "all are answered by stable, p99 grows by at most 10 %, every row is compared, failed or dropped"
)
REQUESTS, RATE, CALLERS = 10_000, 400, 8
EVERY = 200
"""One request in so many is one that the challenger does its harm on."""
KILL_EVERY_SECONDS = 2.0
QUEUED_BYTES = 256 << 10
STABLE, CHALLENGER, HOSTILE = 1.0, 7.0, 666.0


def trial(number: int) -> dict[str, int]:
    """The same requests to a service without a shadow, to one with it, and without it again."""
    kind = list(HARMS)[number % len(HARMS)]
    with tempfile.TemporaryDirectory(prefix="evertrain-R6-") as home:
        store = new_store(home)
        stable, challenger = store_constant(store, STABLE), store_hostile(store, HARMS[kind])
        before, _ = ask(home, stable, None, REQUESTS // 2)
        beside, told = ask(home, stable, challenger, REQUESTS, kills=kind == "killed")
        after, _ = ask(home, stable, None, REQUESTS // 2)
    alone_us, beside_us = p99_us(before + after), p99_us(beside)
    settled = told["compared"] + told["failed"] + told["dropped"]
    return {
        "requests": len(beside),
        "errors": sum(reply.status != 200 for reply in beside),
        "leaked": sum(reply.prediction != STABLE for reply in beside if reply.status == 200),
        "not_offered": abs(len(beside) - told["offered"]),
        "uncounted": abs(told["offered"] - settled) + told["under_way"],
        "p99_over": int(beside_us > 1.1 * alone_us),
        f"p99_us_beside_{kind}": beside_us,
        f"p99_us_alone_{kind}": alone_us,
        **{f"{what}_{kind}": int(told[what]) for what in ("compared", "failed", "dropped", "restarts")},
    }


def judge(totals: dict[str, int], _n: int) -> tuple[int, dict[str, float]]:
    """No error, no answer but stable's, no row without a count; p99 by kind."""
    broken = sum(totals[what] > 0 for what in ("errors", "leaked", "not_offered", "uncounted", "p99_over"))
    figures = {
        f"p99_ratio_{kind}": totals[f"p99_us_beside_{kind}"] / totals[f"p99_us_alone_{kind}"]
        for kind in HARMS
        if f"p99_us_beside_{kind}" in totals
    }
    # Beside a shadow that did no harm nothing would be proved.
    happened = ("failed_raises", "compared_raises", "failed_hangs", "failed_allocates", "restarts_killed")
    idle = any(totals.get(what, 0) == 0 for what in (*happened, "dropped_slow"))
    return broken + idle, figures


def p99_us(replies: Sequence[Reply]) -> int:
    """Microseconds that all but a hundredth of *replies* took less than."""
    return int(1e6 * np.quantile([reply.ended - reply.began for reply in replies], 0.99))


def ask(
    home: str, stable: str, challenger: str | None, requests: int, *, kills: bool = False
) -> tuple[list[Reply], dict[str, int]]:
    """Ask a fresh service; gives what its callers saw, and what its shadow counted."""
    with service(home, stable, challenger) as (process, address):
        # Bodies are alike but for the one in so many, which has a caller of its own.
        good, hostile = (
            Callers(address, rate, count, json.dumps({"instances": [{"x": x}]}).encode())
            for rate, count, x in (
                (RATE * (1 - 1 / EVERY), CALLERS, 1.0),
                (RATE / EVERY, 1, HOSTILE),
            )
        )
        stop = threading.Event()
        killing = threading.Thread(target=_kill_often, args=(process.pid, stop))
        if kills:
            killing.start()

        async def call() -> None:
            few = requests // EVERY
            await asyncio.gather(good.call(requests - few), hostile.call(few))

        asyncio.run(call())
        stop.set()
        if kills:
            killing.join()
        process.terminate()
        told = json.loads(process.stdout.read()) if process.stdout else {}
    return good.replies + hostile.replies, told


def _kill_often(service: int, stop: threading.Event) -> None:
    import psutil

    while not stop.wait(KILL_EVERY_SECONDS):
        for child in psutil.Process(service).children():
            os.kill(child.pid, signal.SIGKILL)


@contextmanager
def service(home: str, stable: str, challenger: str | None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A service in a process of its own; gives it and its address."""
    words = [sys.executable, __file__, "serve", f"{home}/store", stable, challenger or ""]
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


Node = object


def _constant(name: str, value: float, kind: int = TensorProto.INT64) -> Node:
    tensor = helper.make_tensor("v", kind, [1], [value])
    return helper.make_node("Constant", [], [name], value=tensor)


def _raise() -> list[Node]:
    return [
        _constant("elements", 0),
        _constant("far", 5),
        helper.make_node("Mul", ["trigger", "far"], ["place"]),
        helper.make_node("Gather", ["elements", "place"], ["harm"]),
    ]


def _hang() -> list[Node]:
    def told(name: str, kind: int, shape: list[int]) -> Node:
        return helper.make_tensor_value_info(name, kind, shape)

    steps = [
        helper.make_node("Identity", ["goes"], ["goes_on"]),
        helper.make_node("Identity", ["before"], ["after"]),
    ]
    body = helper.make_graph(
        steps,
        "body",
        [
            told("step", TensorProto.INT64, []),
            told("goes", TensorProto.BOOL, []),
            told("before", TensorProto.INT64, [1]),
        ],
        [told("goes_on", TensorProto.BOOL, []), told("after", TensorProto.INT64, [1])],
    )
    return [
        _constant("ages", 2**60),
        _constant("nothing", 0),
        helper.make_node("Mul", ["trigger", "ages"], ["steps"]),
        helper.make_node("Loop", ["steps", "", "nothing"], ["harm"], body=body),
    ]


def _zeros(factor: str, elements: int) -> list[Node]:
    zero = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0])
    return [
        _constant("elements", elements),
        helper.make_node("Mul", [factor, "elements"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["zeros"], value=zero),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["harm"], to=TensorProto.INT64),
    ]


HARMS: dict[str, Callable[[], list[Node]]] = {
    "raises": _raise,
    "hangs": _hang,
    "allocates": lambda: _zeros("trigger", 1 << 28),
    "killed": lambda: _zeros("trigger", 1),
    # Some ten milliseconds a request, where they come every two and a half; of a constant it would be once.
    "slow": lambda: [
        _constant("one", 1),
        helper.make_node("Add", ["trigger", "one"], ["always"]),
        *_zeros("always", 8 << 20),
    ],
}


def store_hostile(store: Store, harm: Callable[[], list[Node]]) -> str:
    """Write a bundle that answers ``CHALLENGER`` and does *harm* where x is ``HOSTILE``; gives its digest."""
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [CHALLENGER])
    nodes = [
        helper.make_node("Shape", ["in_000"], ["rows"]),
        helper.make_node("ReduceMax", ["in_000"], ["largest"], keepdims=0),
        _constant("hostile", HOSTILE, TensorProto.FLOAT),
        helper.make_node("Equal", ["largest", "hostile"], ["met"]),
        helper.make_node("Cast", ["met"], ["trigger"], to=TensorProto.INT64),
        *harm(),
        helper.make_node("Add", ["rows", "harm"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["variable"], value=value),
    ]
    shape = [None, 1]
    made = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("in_000", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    golden = Golden(columns={"x": [1.0, None]}, tolerance=1e-6, values=[CHALLENGER, CHALLENGER])
    files = {
        "model.onnx": bytes(model.SerializeToString()),
        "signature.json": canonical_json(SIGNATURE.model_dump(mode="json")),
        "golden.json": canonical_json(golden.model_dump(mode="json")),
        "statistics.json": b"{}",
        "provenance.json": b"{}",
    }
    return write_bundle(store, "onnx", files, "proof")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        prove("R6", CLAIM, trial, judge, n=len(HARMS))
