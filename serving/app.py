"""Owns the routes of the inference service: which address is answered by what."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from evertrain.storage import Store
from serving.admission import Admission
from serving.arms import Lineup
from serving.endpoints import Desk, FeedbackEndpoint, ScoringEndpoint
from serving.fleet import Fleet
from serving.looks import Looks
from serving.metrics import ServiceMetrics
from serving.problems import NO_ROUTE, WRONG_METHOD, Refusal
from serving.protocols.mlflow_scoring import MLFLOW_SCORING
from serving.protocols.v1_predict import V1_PREDICT
from serving.protocols.v2 import V2
from serving.recorder import KeepsNothing, Recorder
from serving.reports import Reports
from serving.scoring import Limits

Look = Callable[..., Awaitable[Response]]
DOCUMENT = "/openapi.json"


def create_app(
    fleet: Fleet,
    limits: Limits | None = None,
    recorder: Recorder | None = None,
    store: Store | None = None,
) -> ShortWay:
    """Make the service that answers from *fleet*; whoever fills the fleet is started elsewhere.

    Args:
        fleet: The models by name.
        limits: What one request may hold; by default 1 MiB and 1,000 rows.
        recorder: Is told of answers and labels; None: nobody is.
        store: Where the reports are; None: there are none.
    """
    recorder = recorder or KeepsNothing()
    metrics = ServiceMetrics(fleet, recorder)
    scoring = _scoring(Desk(fleet, limits or Limits(), metrics, recorder, Admission()))
    looks = _looks(Looks(fleet, metrics), Reports(fleet, store))
    return ShortWay(scoring, [*map(_look_route, looks.items()), *_documentation(looks)])


class ShortWay:
    """Takes scoring requests to their endpoints past all that a framework does for the others.

    An empty endpoint of a framework takes three times what a model in ONNX does.

    Args:
        scoring: Answers POST, by path.
        others: The other routes.
    """

    def __init__(self, scoring: Mapping[str, ASGIApp], others: Sequence[BaseRoute]) -> None:
        self._plain = {path: answer for path, answer in scoring.items() if "{" not in path}
        self._named = [(_pattern(path), answer) for path, answer in scoring.items() if "{" in path]
        self.routes = [*(Route(path, each, methods=["POST"]) for path, each in scoring.items()), *others]
        self._app = Starlette(routes=self.routes, exception_handlers={HTTPException: _answer_http_error})
        self._app.router.redirect_slashes = False

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


def _scoring(desk: Desk) -> dict[str, ASGIApp]:
    fleet = desk.fleet

    def by_name(parameters: Mapping[str, str]) -> Lineup:
        return fleet.lineup(parameters["name"])

    def by_version(parameters: Mapping[str, str]) -> Lineup:
        return fleet.lineup(parameters["name"], parameters["version"])

    return {
        "/invocations": ScoringEndpoint(desk, MLFLOW_SCORING, lambda _: fleet.only_lineup()),
        "/models/{name}/invocations": ScoringEndpoint(desk, MLFLOW_SCORING, by_name),
        "/v1/models/{name}:predict": ScoringEndpoint(desk, V1_PREDICT, by_name),
        "/v2/models/{name}/infer": ScoringEndpoint(desk, V2, by_name),
        "/v2/models/{name}/versions/{version}/infer": ScoringEndpoint(desk, V2, by_version),
        "/models/{name}/feedback": FeedbackEndpoint(desk),
    }


def _looks(looks: Looks, reports: Reports) -> dict[str, Look]:
    return {
        "/": looks.status,
        "/health/live": looks.live,
        "/health/ready": looks.ready,
        "/ping": looks.ping,
        "/metrics": looks.metrics,
        "/models/{name}": looks.model,
        "/v2": looks.v2_server,
        "/v2/health/live": looks.v2_live,
        "/v2/health/ready": looks.v2_ready,
        "/v2/models/{name}": looks.v2_model,
        "/v2/models/{name}/versions/{version}": looks.v2_model_version,
        "/v2/models/{name}/ready": looks.v2_model_ready,
        "/v2/models/{name}/versions/{version}/ready": looks.v2_version_ready,
        "/v1/models": looks.v1_models,
        "/v1/models/{name}": looks.v1_model,
        "/reports": reports.index,
        "/reports/{name}": reports.to_pipeline,
        "/reports/{name}/": reports.pipeline,
        "/reports/{name}/{page}": reports.page,
    }


def _look_route(item: tuple[str, Look]) -> Route:
    path, look = item

    async def answer(request: Request) -> Response:
        return await look(**request.path_params)

    return Route(path, answer, methods=["GET"])


def _documentation(looks: Mapping[str, Look]) -> list[Route]:
    """The routes that describe the others; what makes them is loaded for the first who asks."""

    async def document(_: Request) -> Response:
        from serving.openapi.document import spell_document

        return Response(await run_in_threadpool(spell_document, looks), media_type="application/json")

    async def page(_: Request) -> Response:
        from serving.openapi.document import make_page

        return HTMLResponse(await run_in_threadpool(make_page, DOCUMENT))

    return [Route(DOCUMENT, document, methods=["GET"]), Route("/docs", page, methods=["GET"])]


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == WRONG_METHOD.status:
        refusal = Refusal(WRONG_METHOD, f"{request.method} {path} is not offered.", headers=error.headers)
    else:
        refusal = Refusal(NO_ROUTE, f"There is nothing at {path}; /docs lists what there is.")
    return refusal.response()
