"""Owns what ``/openapi.json`` says of each route."""

from __future__ import annotations

from typing import Any, NamedTuple

from serving.openapi.schemas import (
    ACCEPTED,
    ANSWER,
    ANSWER_HEADERS,
    FEEDBACK_BODY,
    FLAG,
    INVOCATION_BODY,
    MODEL,
    MODEL_NAMES,
    PROBLEM,
    REQUEST_ID,
    STATUS,
    V1_BODY,
    Schema,
)
from serving.openapi.v2_schemas import V2_ANSWER, V2_BODY, V2_MODEL, V2_SERVER
from serving.problems import (
    HEADERS_TOO_LARGE,
    INVALID_INPUT,
    MEDIA_TYPE,
    MODEL_FAILED,
    NO_KEY,
    NO_REPORT,
    NO_STORE,
    NOT_JSON,
    NOT_KEPT,
    NOT_READY,
    PROBLEM_TYPE,
    TOO_LARGE,
    TOO_SLOW,
    UNKNOWN_MODEL,
    WRONG_SCOPE,
    Kind,
)

Responses = dict[int | str, dict[str, Any]]


def _json(description: str, schema: Schema, headers: Schema | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"description": description, "content": content, "headers": headers or {}}


def describe_problems(*kinds: Kind) -> Responses:
    """The answers of a route that refuses with *kinds*, by status."""
    return {
        kind.status: {"description": kind.title, "content": {PROBLEM_TYPE: {"schema": PROBLEM}}}
        for kind in kinds
    }


def _ok(described: dict[str, Any]) -> Responses:
    return {200: described}


# Before any route: a key that is missing or for other things, a request that is too slow or too large.
_DOOR = describe_problems(NO_KEY, WRONG_SCOPE, TOO_SLOW, HEADERS_TOO_LARGE)
_MODEL_MISSING = describe_problems(UNKNOWN_MODEL, NOT_READY)
_SCORING_PROBLEMS = _DOOR | _MODEL_MISSING
_SCORING_PROBLEMS |= describe_problems(NOT_JSON, TOO_LARGE, MEDIA_TYPE, INVALID_INPUT, MODEL_FAILED)
_FEEDBACK_PROBLEMS = _DOOR | _MODEL_MISSING
_FEEDBACK_PROBLEMS |= describe_problems(NOT_JSON, TOO_LARGE, MEDIA_TYPE, INVALID_INPUT, NOT_KEPT)


class RouteDescription(NamedTuple):
    """What the documentation says of a route."""

    name: str
    summary: str
    responses: Responses
    extra: dict[str, Any]


def _scoring(name: str, summary: str, body: Schema, answer: Schema, *parameters: str) -> RouteDescription:
    described = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string"}} for each in parameters
    ]
    extra = {"requestBody": body} | ({"parameters": described} if described else {})
    answers: Responses = {200: _json("One answer a row", answer, ANSWER_HEADERS)}
    return RouteDescription(name, summary, answers | _SCORING_PROBLEMS, extra)


SCORING_ROUTES = {
    "/invocations": _scoring(
        "invoke_only", "Score rows where only one model is served (MLflow's protocol, SageMaker's too).",
        INVOCATION_BODY, ANSWER,
    ),
    "/models/{name}/invocations": _scoring(
        "invoke", "Score rows with one model (MLflow's protocol).", INVOCATION_BODY, ANSWER, "name"
    ),
    "/v1/models/{name}:predict": _scoring(
        "v1_predict", "Score instances (TensorFlow Serving, KServe V1, Vertex AI).", V1_BODY, ANSWER, "name"
    ),
    "/v2/models/{name}/infer": _scoring(
        "v2_infer", "Score tensors (Open Inference Protocol V2).", V2_BODY, V2_ANSWER, "name"
    ),
    "/v2/models/{name}/versions/{version}/infer": _scoring(
        "v2_infer_version", "Score tensors with a version, if it is the one that answers (V2).",
        V2_BODY, V2_ANSWER, "name", "version",
    ),
    "/models/{name}/feedback": RouteDescription(
        "feedback",
        "Bring labels of earlier predictions; they are kept once this is answered.",
        _ok(_json("They are kept", ACCEPTED, REQUEST_ID)) | _FEEDBACK_PROBLEMS,
        {
            "requestBody": FEEDBACK_BODY,
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
        },
    ),
}  # fmt: skip

_METRICS_ANSWER: Responses = {
    200: {
        "description": "The metrics as they are now",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
_PAGE: Responses = {
    200: {"description": "The page", "content": {"text/html": {"schema": {"type": "string"}}}}
}
_REPORT = _PAGE | _DOOR | describe_problems(NO_REPORT, NO_STORE)
_READY = describe_problems(NOT_READY)
_LOOKS: dict[str, Responses] = {
    "/": _PAGE | _DOOR,
    "/health/live": {200: _json("It does", STATUS)},
    "/health/ready": _ok(_json("They are", STATUS)) | _READY,
    "/ping": _ok(_json("They are", STATUS)) | _READY,
    "/metrics": _METRICS_ANSWER | _DOOR,
    "/models/{name}": _ok(_json("The model as it answers now", MODEL)) | _MODEL_MISSING | _DOOR,
    "/v2": _ok(_json("This server", V2_SERVER)) | _DOOR,
    "/v2/health/live": {200: _json("It does", FLAG)},
    "/v2/health/ready": _ok(_json("They are", FLAG)) | _READY,
    "/v2/models/{name}": _ok(_json("Its tensors", V2_MODEL)) | _MODEL_MISSING | _DOOR,
    "/v2/models/{name}/versions/{version}": _ok(_json("Its tensors", V2_MODEL)) | _MODEL_MISSING | _DOOR,
    "/v2/models/{name}/ready": _ok(_json("It answers", FLAG)) | _MODEL_MISSING | _DOOR,
    "/v2/models/{name}/versions/{version}/ready": _ok(_json("It answers", FLAG)) | _MODEL_MISSING | _DOOR,
    "/v1/models": _ok(_json("Their names", MODEL_NAMES)) | _DOOR,
    "/v1/models/{name}": _ok(_json("It answers", FLAG)) | _MODEL_MISSING | _DOOR,
    "/reports": _PAGE | _DOOR,
    "/reports/{name}": {307: {"description": "To the page"}} | _DOOR | describe_problems(UNKNOWN_MODEL),
    "/reports/{name}/": _REPORT,
    "/reports/{name}/{page}": _REPORT,
}


def describe(path: str) -> dict[str, Any]:
    """What FastAPI is told of the route *path*, which is only looked at."""
    return {"responses": _LOOKS[path]}
