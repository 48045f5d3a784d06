"""Owns what a service shows of itself and of its models to whoever looks, without asking a model anything."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from evertrain.errors import ModelNotReady
from serving.arms import Arm as AnsweringArm
from serving.arms import Lineup
from serving.endpoints import as_refusal
from serving.fleet import Fleet, Served
from serving.metrics import MEDIA_TYPE as METRICS_MEDIA_TYPE
from serving.metrics import ServiceMetrics, has_siblings
from serving.problems import Refusal, encode_json
from serving.protocols.v2 import describe_model
from serving.status.page import render_page
from serving.status.records import Arm, JournalStatus, ModelStatus, ServiceStatus
from serving.status.style import HEADERS as PAGE_HEADERS

EXTENSIONS = ["binary_tensor_data"]


class Looks:
    """What a service shows; the documentation shows the docstrings.

    Args:
        fleet: The models by name.
        metrics: What it counts.
    """

    def __init__(self, fleet: Fleet, metrics: ServiceMetrics) -> None:
        self._fleet = fleet
        self._metrics = metrics

    async def status(self) -> Response:
        """A page for people: models, arms, the last half hour's traffic, the journals' last entries."""
        # In a thread: the requests under way shouldn't wait for it.
        page = await run_in_threadpool(lambda: render_page(self._look_at_all(), self._metrics.history.look()))
        return HTMLResponse(page, headers=PAGE_HEADERS)

    async def live(self) -> Response:
        """Whether the service runs."""
        return _answer({"status": "live"})

    async def ready(self) -> Response:
        """Whether every model is verified, loaded and warm."""
        return self._checked({"status": "ready"})

    async def ping(self) -> Response:
        """The same as `/health/ready`, under the name that MLflow's and SageMaker's clients ask for."""
        return await self.ready()

    async def metrics(self) -> Response:
        """What Prometheus scrapes: requests, rows, models, the log, the store's freshness, the process."""
        # In a thread: it reads /proc, and the requests under way shouldn't wait for that.
        return Response(await run_in_threadpool(self._metrics.render), media_type=METRICS_MEDIA_TYPE)

    async def model(self, name: str) -> Response:
        """Which version answers under this name, and what it is asked with."""
        try:
            return _answer(_describe(self._fleet.lineup(name)))
        except (Refusal, ModelNotReady) as error:
            return as_refusal(error).response()

    async def v2_server(self) -> Response:
        """V2: what this server is."""
        return _answer({"name": "evertrain", "version": _version(), "extensions": EXTENSIONS})

    async def v2_live(self) -> Response:
        """V2: whether the service runs."""
        return _answer({"live": True})

    async def v2_ready(self) -> Response:
        """V2: whether every model is verified, loaded and warm."""
        return self._checked({"ready": True})

    async def v2_model(self, name: str) -> Response:
        """V2: the model's tensors."""
        return self._looked_at(name, describe_model)

    async def v2_model_version(self, name: str, version: str) -> Response:
        """V2: the tensors of a version, if it is the one that answers."""
        return self._looked_at(name, describe_model, version)

    async def v2_model_ready(self, name: str) -> Response:
        """V2: whether the model answers."""
        return self._looked_at(name, _ready)

    async def v2_version_ready(self, name: str, version: str) -> Response:
        """V2: whether a version answers."""
        return self._looked_at(name, _ready, version)

    async def v1_models(self) -> Response:
        """V1: the models that answer, as KServe lists them."""
        return _answer({"models": [served.name for served in self._fleet.loaded()]})

    async def v1_model(self, name: str) -> Response:
        """V1: whether the model answers, as KServe and as TensorFlow Serving say it."""
        return self._looked_at(name, _v1_status)

    def _look_at_all(self) -> ServiceStatus:
        readings, now = self._fleet.readings(), time.monotonic()
        journals = {
            name: JournalStatus(reading.generation, max(0.0, now - reading.at_seconds), reading.noted)
            for name, reading in readings.items()
        }
        return ServiceStatus(
            models=[
                ModelStatus(
                    name=name,
                    generation=lineup.stable.generation if lineup else 0,
                    arms=describe_arms(lineup) if lineup else [],
                    journal=journals.get(name),
                )
                for name, lineup in self._fleet.known().items()
            ],
            not_ready=self._why_not_ready(),
            version=_version(),
            pid=os.getpid(),
            has_siblings=has_siblings(),
            at=datetime.now(UTC),
        )

    def _why_not_ready(self) -> str:
        try:
            self._fleet.check_ready()
        except ModelNotReady as error:
            return error.message
        return ""

    def _checked(self, answer: Mapping[str, Any]) -> Response:
        try:
            self._fleet.check_ready()
        except ModelNotReady as error:
            return as_refusal(error).response()
        return _answer(answer)

    def _looked_at(
        self, name: str, spell: Callable[[Served], Mapping[str, Any]], version: str | None = None
    ) -> Response:
        try:
            served = self._fleet.find(name, version)
            return _answer(spell(served))
        except (Refusal, ModelNotReady) as error:
            return as_refusal(error).response()


def describe_arms(lineup: Lineup) -> list[Arm]:
    """The versions that answer under this name, each with its share of the requests here and now."""
    percent = lineup.challenge.open_percent if lineup.challenge else 0.0
    arms = [_arm(lineup.stable_arm, 100 - percent)]
    if lineup.challenger_arm is not None:
        arms.append(_arm(lineup.challenger_arm, percent))
    if lineup.shadowing is not None:
        shadowing = lineup.shadowing
        arms.append(Arm("shadow", 0, shadowing.version, shadowing.bundle, "own process"))
    return arms


def _arm(arm: AnsweringArm, percent: float) -> Arm:
    bundle = arm.served.bundle
    weight = int(percent) if percent == int(percent) else percent
    return Arm(arm.name, weight, arm.served.version, bundle.digest, bundle.runtime)


def _describe(lineup: Lineup) -> dict[str, Any]:
    served = lineup.stable
    bundle = served.bundle
    return {
        "name": served.name,
        "version": served.version,
        "bundle": bundle.digest,
        "runtime": bundle.runtime,
        "generation": served.generation,
        "arms": [asdict(arm) for arm in describe_arms(lineup)],
        "signature": bundle.signature.model_dump(mode="json"),
    }


def _ready(served: Served) -> dict[str, Any]:
    return {"name": served.name, "ready": True}


def _v1_status(served: Served) -> dict[str, Any]:
    status = {"error_code": "OK", "error_message": ""}
    version = {"version": str(served.version), "state": "AVAILABLE", "status": status}
    return {**_ready(served), "model_version_status": [version]}


@cache
def _version() -> str:
    from importlib.metadata import version

    return version("evertrain")


def _answer(value: Mapping[str, Any]) -> Response:
    return Response(encode_json(value), media_type="application/json")
