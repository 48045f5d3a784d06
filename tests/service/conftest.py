"""Owns what the service's tests share: made-up models, models in ONNX, and ways to ask the service."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from evertrain.bundle_files import Golden, write_bundle
from evertrain.bundles import Bundle
from evertrain.canonical import canonical_json
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from evertrain.release import decide_promoted, decide_registered, open_journal
from evertrain.serving_plan import ServingPlan
from evertrain.storage import LocalStore, Store, open_store
from serving.app import create_app
from serving.connections import Patience
from serving.fleet import Fleet, Served
from serving.guard import KeyRing
from serving.recorder import Recorder
from serving.scoring import Limits
from serving.watcher import Watcher
from tests.service.constant_onnx import constant_onnx

SIGNATURE = Signature(
    task="binary_classification",
    target="late",
    features=(
        Feature(name="distance", kind="numeric", type="float"),
        Feature(name="carrier", kind="categorical", type="string"),
        Feature(name="night flight", kind="numeric", type="boolean"),
        Feature(name="departs", kind="datetime", type="timestamp"),
    ),
    ignored=("late", "tail", "weight"),
    entity=("flight",),
    timestamp="time_hour",
    classes=("No", "Yes"),
    has_probabilities=True,
)
GOLDEN_COLUMNS: dict[str, list[Any]] = {
    "distance": [100.0, None],
    "carrier": ["UA", None],
    "night flight": [True, None],
    "departs": ["2013-01-31T05:00:00Z", None],
}


def far_is_late(inputs: Mapping[str, np.ndarray]) -> Prediction:
    """A made-up model: flights of over 1,000 miles are late, at 0.75."""
    codes = (inputs["in_000"] > 1000).astype(np.int64)
    late = np.where(codes == 1, 0.75, 0.25)
    return Prediction(codes=codes, probabilities=np.column_stack([1 - late, late]))


def fake_bundle(
    run: Callable[[Mapping[str, np.ndarray]], Prediction] = far_is_late,
    *,
    signature: Signature = SIGNATURE,
    digest: str = "d" * 64,
    runtime: str = "onnx",
    serving: ServingPlan | None = None,
) -> Bundle:
    """A bundle around a Python function."""
    return Bundle(
        digest=digest,
        runtime=runtime,
        signature=signature,
        golden=Golden(columns={}, tolerance=0.0),
        statistics={},
        provenance={},
        size_bytes=0,
        run=run,
        serving=serving,
    )


def constant_bundle_files(
    late: float, *, golden_late: float | None = None, fails_over: float | None = None
) -> dict[str, bytes]:
    """The files of a bundle around ``constant_onnx(late)``; *golden_late* is what its golden rows claim."""
    claimed = late if golden_late is None else golden_late
    rows = len(GOLDEN_COLUMNS["distance"])
    golden = Golden(
        columns=GOLDEN_COLUMNS,
        tolerance=1e-6,
        codes=[int(claimed > 0.5)] * rows,
        probabilities=[[1 - claimed, claimed]] * rows,
    )
    return {
        "model.onnx": constant_onnx(late, fails_over=fails_over),
        "signature.json": canonical_json(SIGNATURE.model_dump(mode="json")),
        "golden.json": canonical_json(golden.model_dump(mode="json")),
        "statistics.json": b"{}",
        "provenance.json": b"{}",
    }


def store_constant_bundle(
    store: Store, late: float, *, golden_late: float | None = None, fails_over: float | None = None
) -> str:
    """Write such a bundle; gives its digest."""
    files = constant_bundle_files(late, golden_late=golden_late, fails_over=fails_over)
    return write_bundle(store, "onnx", files, "test")


def promote_bundle(store: Store, pipeline: str, version: int, bundle: str) -> None:
    """Register *bundle* as *version* and make it champion."""
    journal = open_journal(store, pipeline, "test")
    facts = {"snapshot": "s" * 64, "config": "c" * 64, "code": "e" * 64}
    journal.append(
        decide_registered(version=version, run_key=f"run-{version}", run_id="r", bundle=bundle, **facts)
    )
    journal.append(decide_promoted(version=version))


class Asker:
    """Asks one service in process: each call is a request of its own."""

    def __init__(self, fleet: Fleet, limits: Limits | None = None) -> None:
        self.fleet = fleet
        self.app = create_app(fleet, limits)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, body: Any, path: str = "/invocations", **headers: str) -> httpx.Response:
        """Send *body*: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return self.request("POST", path, content=content, headers=sent)


def asker_of(*bundles: Bundle, limits: Limits | None = None) -> Asker:
    """A service of flights, weather, … v3 in generation 2, one for each of *bundles*."""
    fleet = Fleet()
    for name, bundle in zip(("flights", "weather"), bundles, strict=False):
        fleet.put(Served(name, 3, 2, bundle))
    return Asker(fleet, limits)


class Clock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Shelf:
    """Gives made-up bundles by digest, and counts how often each was loaded."""

    def __init__(self, bundle_of):
        self.bundle_of = bundle_of
        self.loads = []
        self.broken = {}

    def __call__(self, store, digest):
        self.loads.append(digest[0])
        if digest in self.broken:
            raise self.broken[digest]
        return self.bundle_of(digest=digest)


@contextmanager
def run_server(
    fleet: Fleet,
    limits: Limits | None = None,
    keys: KeyRing | None = None,
    patience: Patience | None = None,
    recorder: Recorder | None = None,
    store: Store | None = None,
) -> Iterator[str]:
    """Run a real uvicorn in a thread on a free port; gives its address."""
    from serving.server import listening
    from serving.worker import make_server

    server = make_server(fleet, limits, keys, patience=patience, recorder=recorder, store=store)
    with listening("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def bundle_of() -> Callable[..., Bundle]:
    return fake_bundle


@pytest.fixture
def asker() -> Callable[..., Asker]:
    return asker_of


@pytest.fixture
def serve() -> Callable[..., AbstractContextManager[str]]:
    return run_server


@pytest.fixture(scope="module")
def module_server() -> Iterator[str]:
    """One real server of one made-up model for all tests of a module; gives its address."""
    fleet = Fleet()
    fleet.put(Served("flights", 1, 1, fake_bundle()))
    with run_server(fleet) as address:
        yield address


@pytest.fixture
def constant_files() -> Callable[..., dict[str, bytes]]:
    return constant_bundle_files


@pytest.fixture
def constant_model() -> Callable[[float], bytes]:
    return constant_onnx


@pytest.fixture
def slow_model() -> Callable[[], bytes]:
    return lambda: constant_onnx(0.25, slowed_by=2500)


@pytest.fixture
def constant_bundle() -> Callable[..., str]:
    return store_constant_bundle


@pytest.fixture
def promote() -> Callable[[Store, str, int, str], None]:
    return promote_bundle


@pytest.fixture
def row() -> dict[str, Any]:
    """One row that the made-up model takes; it answers Yes."""
    return {"distance": 1400, "carrier": "UA", "night flight": False, "departs": "2013-01-31T05:00:00Z"}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shelf(bundle_of):
    return Shelf(bundle_of)


@pytest.fixture
def fleet():
    return Fleet()


@pytest.fixture
def watch(store, fleet, shelf, clock):
    def make(*names, store=store):
        return Watcher(store, fleet, names, load=shelf, clock=clock)

    return make
