"""Owns the routes of the inference service: which address is answered by what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from evertrain.errors import ModelNotReady
from serving.admission import Admission
from serving.endpoints import STABLE, Desk, FeedbackEndpoint, Find, ScoringEndpoint, as_refusal
from serving.fleet import Fleet, Served
from serving.metrics import MEDIA_TYPE as METRICS_MEDIA_TYPE
from serving.metrics import ServiceMetrics
from serving.openapi import SCORING_ROUTES, RouteDescription, describe
from serving.problems import NO_ROUTE, UNKNOWN_MODEL, WRONG_METHOD, Refusal, encode_json
from serving.protocols import Protocol
from serving.protocols.mlflow_scoring import MLFLOW_SCORING
from serving.protocols.v1_predict import V1_PREDICT
from serving.protocols.v2 import V2, describe_model
from serving.recorder import KeepsNothing, Recorder
from serving.scoring import Limits

EXTENSIONS = ["binary_tensor_data"]


def create_app(fleet: Fleet, limits: Limits | None = None, recorder: Recorder | None = None) -> FastAPI:
    """Make the service that answers from *fleet*; whoever fills the fleet is started elsewhere.

    Args:
        fleet: The models by name.
        limits: What one request may hold; by default 1 MiB and 1,000 rows.
        recorder: Is told of answers and labels; None: nobody is.
    """
    app = FastAPI(
        title="evertrain",
        summary="Answers from the champion's bundle.",
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    recorder = recorder or KeepsNothing()
    metrics = ServiceMetrics(fleet, recorder)
    desk = Desk(fleet, limits or Limits(), metrics, recorder, Admission())
    _add_scoring(app, desk)
    _add_looks(app, _Looks(fleet, metrics))
    app.add_exception_handler(HTTPException, _answer_http_error)
    return app


class DirectRoute(APIRoute):
    """A route that FastAPI documents and an ASGI application answers."""

    direct: ASGIApp

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matched."""
        if scope["method"] != "POST":
            raise HTTPException(405, headers={"Allow": "POST"})
        await self.direct(scope, receive, send)


class ShortWay:
    """Takes scoring requests to their endpoints past everything that frameworks do for the others.

    An empty endpoint of FastAPI takes 145 microseconds, three times what a model in ONNX does.

    Args:
        app: Answers whatever isn't a scoring request.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        direct = [route for route in app.routes if isinstance(route, DirectRoute)]
        self._plain = {route.path: route.direct for route in direct if "{" not in route.path}
        self._named = [(_pattern(route.path), route.direct) for route in direct if "{" in route.path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path = scope["path"]
            plain = self._plain.get(path)
            if plain is not None:
                await plain({**scope, "path_params": {}}, receive, send)
                return
            for pattern, direct in self._named:
                found = pattern.fullmatch(path)
                if found is not None:
                    await direct({**scope, "path_params": found.groupdict()}, receive, send)
                    return
        await self._app(scope, receive, send)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def _add_scoring(app: FastAPI, desk: Desk) -> None:
    fleet = desk.fleet

    def by_name(parameters: Mapping[str, str]) -> Served:
        return fleet.find(parameters["name"])

    def by_version(parameters: Mapping[str, str]) -> Served:
        return _of_version(fleet.find(parameters["name"]), parameters["version"])

    def add(path: str, direct: ASGIApp) -> None:
        described: RouteDescription = SCORING_ROUTES[path]
        route = DirectRoute(
            path,
            _answered_directly,
            methods=["POST"],
            name=described.name,
            response_class=Response,
            responses=described.responses,
            openapi_extra=described.extra,
            description=described.summary,
        )
        route.direct = direct
        app.router.routes.append(route)

    scoring: list[tuple[str, Protocol, Find]] = [
        ("/invocations", MLFLOW_SCORING, lambda _: fleet.find_only()),
        ("/models/{name}/invocations", MLFLOW_SCORING, by_name),
        ("/v1/models/{name}:predict", V1_PREDICT, by_name),
        ("/v2/models/{name}/infer", V2, by_name),
        ("/v2/models/{name}/versions/{version}/infer", V2, by_version),
    ]
    for path, protocol, find in scoring:
        add(path, ScoringEndpoint(desk, protocol, find))
    add("/models/{name}/feedback", FeedbackEndpoint(desk))


async def _answered_directly() -> None:
    """Stand in FastAPI's documentation for an endpoint that `DirectRoute` calls itself."""


def _add_looks(app: FastAPI, looks: _Looks) -> None:
    def add(path: str, endpoint: Callable[..., Any], *methods: str) -> None:
        app.add_api_route(
            path, endpoint, methods=[*methods] or ["GET"], response_class=Response, **describe(path)
        )

    add("/health/live", looks.live)
    add("/health/ready", looks.ready)
    add("/ping", looks.ping)
    add("/metrics", looks.metrics)
    add("/models/{name}", looks.model)
    add("/v2", looks.v2_server)
    add("/v2/health/live", looks.v2_live)
    add("/v2/health/ready", looks.v2_ready)
    add("/v2/models/{name}", looks.v2_model)
    add("/v2/models/{name}/versions/{version}", looks.v2_model_version)
    add("/v2/models/{name}/ready", looks.v2_model_ready)
    add("/v2/models/{name}/versions/{version}/ready", looks.v2_version_ready)
    add("/v1/models", looks.v1_models)
    add("/v1/models/{name}", looks.v1_model)


class _Looks:
    """What can be looked at; FastAPI shows the docstrings in its documentation."""

    def __init__(self, fleet: Fleet, metrics: ServiceMetrics) -> None:
        self._fleet = fleet
        self._metrics = metrics

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
        return self._looked_at(name, _describe)

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
            served = self._fleet.find(name)
            return _answer(spell(served if version is None else _of_version(served, version)))
        except (Refusal, ModelNotReady) as error:
            return as_refusal(error).response()


def _of_version(served: Served, version: str) -> Served:
    if str(served.version) != version:
        raise Refusal(
            UNKNOWN_MODEL,
            f"Version {version[:20]!r} of {served.name} doesn't answer here; version {served.version} does.",
            field="version",
        )
    return served


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


def _ready(served: Served) -> dict[str, Any]:
    return {"name": served.name, "ready": True}


def _v1_status(served: Served) -> dict[str, Any]:
    status = {"error_code": "OK", "error_message": ""}
    version = {"version": str(served.version), "state": "AVAILABLE", "status": status}
    return {**_ready(served), "model_version_status": [version]}


def _version() -> str:
    from importlib.metadata import version

    return version("evertrain")


def _answer(value: Mapping[str, Any]) -> Response:
    return Response(encode_json(value), media_type="application/json")


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == WRONG_METHOD.status:
        refusal = Refusal(WRONG_METHOD, f"{request.method} {path} is not offered.", headers=error.headers)
    else:
        refusal = Refusal(NO_ROUTE, f"There is nothing at {path}; /docs lists what there is.")
    return refusal.response()
