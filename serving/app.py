"""Owns the routes of the inference service."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from evertrain.errors import ModelNotReady
from serving.bodies import read_body
from serving.descriptions import (
    INVOCATION_ANSWER,
    INVOCATION_BODY,
    METRICS_ANSWER,
    MODEL_ANSWER,
    STATUS_ANSWER,
    describe_problems,
)
from serving.fleet import Fleet, Served
from serving.metrics import MEDIA_TYPE as METRICS_MEDIA_TYPE
from serving.metrics import UNKNOWN, ServiceMetrics
from serving.problems import (
    INVALID_INPUT,
    MEDIA_TYPE,
    MODEL_FAILED,
    NO_ROUTE,
    NOT_JSON,
    NOT_READY,
    TOO_LARGE,
    UNKNOWN_MODEL,
    WRONG_METHOD,
    Refusal,
    encode_json,
)
from serving.scoring import Limits, answer_rows

STABLE = "stable"
RETRY_AFTER_SECONDS = 1
# What is scored in less time than a thread's turn costs is scored at once.
INLINE_BYTES = 4096

_REQUEST_ID = "x-evertrain-request-id"
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def create_app(fleet: Fleet, limits: Limits | None = None) -> FastAPI:
    """Make the service that answers from *fleet*; whoever fills the fleet is started elsewhere.

    Args:
        fleet: The models by name.
        limits: What one request may hold; by default 1 MiB and 1,000 rows.
    """
    app = FastAPI(
        title="evertrain",
        summary="Answers from the champion's bundle.",
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    _add_routes(app, _Service(fleet, limits or Limits()))
    app.add_exception_handler(HTTPException, _answer_http_error)
    return app


def _add_routes(app: FastAPI, service: _Service) -> None:
    not_ready = describe_problems(NOT_READY)
    unknown = describe_problems(UNKNOWN_MODEL)
    refused = describe_problems(NOT_JSON, TOO_LARGE, MEDIA_TYPE, INVALID_INPUT, MODEL_FAILED)

    def add(method: str, path: str, endpoint: Callable[..., Any], **documented: Any) -> None:
        app.add_api_route(path, endpoint, methods=[method], response_class=Response, **documented)

    add("GET", "/health/live", service.live, responses=STATUS_ANSWER)
    add("GET", "/health/ready", service.ready, responses=STATUS_ANSWER | not_ready)
    add("GET", "/ping", service.ping, responses=STATUS_ANSWER | not_ready)
    add("GET", "/metrics", service.metrics, responses=METRICS_ANSWER)
    add("GET", "/models/{name}", service.model, responses=MODEL_ANSWER | unknown | not_ready)
    for path, endpoint in (
        ("/invocations", service.invoke_only),
        ("/models/{name}/invocations", service.invoke),
    ):
        add(
            "POST",
            path,
            endpoint,
            responses=INVOCATION_ANSWER | refused | unknown | not_ready,
            openapi_extra={"requestBody": INVOCATION_BODY},
        )


class _Service:
    """The endpoints; FastAPI shows their docstrings in its documentation."""

    def __init__(self, fleet: Fleet, limits: Limits) -> None:
        self._fleet = fleet
        self._limits = limits
        self._metrics = ServiceMetrics(fleet)

    async def live(self) -> Response:
        """Whether the service runs."""
        return _answer({"status": "live"})

    async def ready(self) -> Response:
        """Whether every model is verified, loaded and warm."""
        try:
            self._fleet.check_ready()
        except ModelNotReady as error:
            return _refuse(error)
        return _answer({"status": "ready"})

    async def ping(self) -> Response:
        """The same as `/health/ready`, under the name that MLflow's and SageMaker's clients ask for."""
        return await self.ready()

    async def metrics(self) -> Response:
        """What Prometheus scrapes: readiness, requests, models, the store's freshness, the process."""
        # In a thread: it reads /proc, and the requests under way shouldn't wait for that.
        return Response(await run_in_threadpool(self._metrics.render), media_type=METRICS_MEDIA_TYPE)

    async def model(self, name: str) -> Response:
        """Which version answers under this name, and what it is asked with."""
        try:
            served = self._fleet.find(name)
        except (Refusal, ModelNotReady) as error:
            return _refuse(error)
        return _answer(_describe(served))

    async def invoke(self, request: Request, name: str) -> Response:
        """Score rows with one model (MLflow's scoring protocol)."""
        return await self._invoke(request, lambda: self._fleet.find(name))

    async def invoke_only(self, request: Request) -> Response:
        """Score rows where only one model is served (MLflow's scoring protocol)."""
        return await self._invoke(request, self._fleet.find_only)

    async def _invoke(self, request: Request, find: Callable[[], Served]) -> Response:
        began = time.perf_counter()
        headers = {_REQUEST_ID: _request_id(request)}
        model = UNKNOWN
        try:
            served = find()
            model = served.name
            headers |= {"x-evertrain-version": str(served.version), "x-evertrain-arm": STABLE}
            body = await read_body(request, self._limits)
            response = Response(await self._score(served, body), media_type="application/json")
        except (Refusal, ModelNotReady) as error:
            response = _refuse(error)
        except ClientDisconnect:
            response = _refuse(Refusal(NOT_JSON, "The connection was closed before the body was whole."))
        response.headers.update(headers)
        self._metrics.count(model, response.status_code, time.perf_counter() - began)
        return response

    async def _score(self, served: Served, body: bytes) -> bytes:
        if len(body) <= INLINE_BYTES and served.bundle.runtime == "onnx":
            return answer_rows(served, body, self._limits)
        return await run_in_threadpool(answer_rows, served, body, self._limits)


def _describe(served: Served) -> dict[str, Any]:
    bundle = served.bundle
    facts = {"version": served.version, "bundle": bundle.digest, "runtime": bundle.runtime}
    return {
        "name": served.name,
        **facts,
        "generation": served.generation,
        "arms": [{"arm": STABLE, "weight": 100, **facts}],
        "signature": bundle.signature.model_dump(mode="json"),
    }


def _request_id(request: Request) -> str:
    given = request.headers.get(_REQUEST_ID, "")
    return given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex


def _answer(value: Any) -> Response:
    return Response(encode_json(value), media_type="application/json")


def _refuse(error: Refusal | ModelNotReady) -> Response:
    if isinstance(error, Refusal):
        return error.response()
    return Refusal(NOT_READY, error.message, headers={"retry-after": str(RETRY_AFTER_SECONDS)}).response()


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == WRONG_METHOD.status:
        refusal = Refusal(WRONG_METHOD, f"{request.method} {path} is not offered.", headers=error.headers)
    else:
        refusal = Refusal(NO_ROUTE, f"There is nothing at {path}; /docs lists what there is.")
    return refusal.response()
