"""Owns what the proofs about serving share: a real service as a process, its journal, and callers of it."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from onnx import TensorProto, helper

from evertrain.bundle_files import Golden, write_bundle
from evertrain.canonical import canonical_json
from evertrain.records import Feature, Signature
from evertrain.release import decide_promoted, decide_registered, open_journal
from evertrain.storage import Store, open_store

PIPELINE = "flights"
SIGNATURE = Signature(
    task="regression", target="y", features=(Feature(name="x", kind="numeric", type="float"),)
)
BODY = b'{"instances": [{"x": 1.0}]}'
START_SECONDS = 60


def store_constant(store: Store, value: float, *, fails_over: float | None = None) -> str:
    """Write a bundle that answers *value* to everything, and NaN to x over *fails_over*; gives its digest."""
    answer = "variable" if fails_over is None else "answer"
    made = helper.make_graph(
        [
            helper.make_node("Shape", ["in_000"], ["shape"]),
            helper.make_node(
                "ConstantOfShape",
                ["shape"],
                [answer],
                value=helper.make_tensor("v", TensorProto.FLOAT, [1], [value]),
            ),
            *([] if fails_over is None else _failing(answer, fails_over)),
        ],
        "constant",
        [helper.make_tensor_value_info("in_000", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])],
    )
    return store_model(store, made, value)


def store_model(store: Store, graph: Any, value: float) -> str:
    """Write a bundle of *graph*, which answers *value* to its golden rows; gives its digest."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    golden = Golden(columns={"x": [1.0, None]}, tolerance=1e-6, values=[value, value])
    files = {
        "model.onnx": bytes(model.SerializeToString()),
        "signature.json": canonical_json(SIGNATURE.model_dump(mode="json")),
        "golden.json": canonical_json(golden.model_dump(mode="json")),
        "statistics.json": b"{}",
        "provenance.json": b"{}",
    }
    return write_bundle(store, "onnx", files, "proof")


def _failing(answer: str, over: float) -> list[Any]:
    """Nodes that add 0 / 1 to *answer* where x is up to *over*, else 0 / 0."""

    def constant(name: str, value: float) -> Any:
        tensor = helper.make_tensor(name, TensorProto.FLOAT, [1], [value])
        return helper.make_node("Constant", [], [name], value=tensor)

    return [
        constant("limit", over),
        constant("zero", 0.0),
        constant("one", 1.0),
        helper.make_node("Greater", ["in_000", "limit"], ["is_over"]),
        helper.make_node("Cast", ["is_over"], ["over"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "over"], ["within"]),
        helper.make_node("Div", ["zero", "within"], ["nothing_or_nan"]),
        helper.make_node("Add", [answer, "nothing_or_nan"], ["variable"]),
    ]


def promote(store: Store, version: int, bundle: str) -> None:
    """Register *bundle* as *version* and make it the champion."""
    register(store, version, bundle)
    open_journal(store, PIPELINE, "proof").append(decide_promoted(version=version))


def register(store: Store, version: int, bundle: str) -> None:
    """Register *bundle* as *version*."""
    facts = {"snapshot": "s" * 64, "config": "c" * 64, "code": "e" * 64}
    decide = decide_registered(version=version, run_key=f"run-{version}", run_id="r", bundle=bundle, **facts)
    open_journal(store, PIPELINE, "proof").append(decide)


@contextmanager
def serving(
    home: str, *options: str, store: str | None = None, cores: Sequence[int] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run ``evertrain serve`` on a free port; gives the process and its address."""
    words = [sys.executable, "-m", "evertrain.cli", "serve", PIPELINE, "--port", "0", *options]
    environment = {**os.environ, "EVERTRAIN_HOME": home, "EVERTRAIN_STORE": store or f"{home}/store"}
    pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    with subprocess.Popen([*pinned, *words], stderr=subprocess.PIPE, env=environment) as process:
        try:
            yield process, _await_address(process)
        finally:
            process.terminate()
            process.wait(20)


def _await_address(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    deadline, told = time.monotonic() + START_SECONDS, b""
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([process.stderr], [], [], 0.2)[0]:
            told += os.read(process.stderr.fileno(), 65536)
        if b" on http://" in told:
            return "http://" + told.decode().partition(" on http://")[2].split()[0]
    raise RuntimeError(f"The service didn't start: {told.decode()}")


@dataclass(frozen=True)
class Reply:
    """One request as *caller* saw it: seconds on the monotonic clock, the answer, or why there is none."""

    began: float
    ended: float
    status: int
    version: int = 0
    prediction: Any = None
    error: str = ""
    caller: int = 0


@dataclass
class Callers:
    """Callers that keep a rate whatever the service does; each keeps one connection open.

    Attributes:
        address: The service.
        rate: Requests a second, of all callers together.
        count: How many callers.
        body: What each request holds.
        path: Where it is sent.
        replies: What they saw.
    """

    address: str
    rate: float
    count: int = 8
    body: bytes = BODY
    path: str = f"/models/{PIPELINE}/invocations"
    headers: Mapping[str, str] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)

    async def call(self, requests: int) -> None:
        """Send *requests*, at their times; a request that is due while the caller waits is sent late."""
        began = time.monotonic()
        places = np.arange(requests) / self.rate
        await asyncio.gather(
            *(
                self._keep_calling(caller, began + places[caller :: self.count])
                for caller in range(self.count)
            )
        )

    async def _keep_calling(self, caller: int, times: np.ndarray) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for due in times:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            try:
                if connection is None:
                    connection = await self._connect()
                status, headers, body = await asyncio.wait_for(self._exchange(*connection), 30)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.replies.append(
                    Reply(began, time.monotonic(), 0, error=f"{type(error).__name__}: {error}", caller=caller)
                )
                connection = None
                continue
            answer = json.loads(body) if status == 200 else {}
            version = int(headers.get("x-evertrain-version", 0))
            prediction = (answer.get("predictions") or [None])[0]
            self.replies.append(Reply(began, time.monotonic(), status, version, prediction, caller=caller))
            if headers.get("connection") == "close":
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.address)
        return await asyncio.wait_for(asyncio.open_connection(parts.hostname, parts.port), 10)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, dict[str, str], bytes]:
        lines = [
            f"POST {self.path} HTTP/1.1",
            "host: x",
            "content-type: application/json",
            f"content-length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + self.body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def new_store(home: str) -> Store:
    """The store of a service whose home is *home*."""
    return open_store(f"{home}/store")
