"""What /openapi.json says is what the service does."""

from __future__ import annotations

import jsonschema
import pytest

from evertrain.records import Signature

INVOKE = "/models/{name}/invocations"
FEATURES = ["distance", "carrier", "night flight", "departs"]
FAR = [1400, "UA", False, None]
GOOD = [
    {"dataframe_split": {"columns": FEATURES, "data": [FAR]}},
    {"dataframe_records": [dict(zip(FEATURES, FAR, strict=True))], "params": {}},
    {"instances": [FAR]},
    {"inputs": {name: [value] for name, value in zip(FEATURES, FAR, strict=True)}},
]
BAD = [
    {},
    {"instances": []},
    {"dataframe_split": {"data": [FAR]}},
    {"instances": [FAR], "inputs": [FAR]},
    {"inputs": [FAR], "more": 1},
    {"dataframe_records": [FAR]},
]


def schema_of(described, method, path, status):
    content = described["paths"][path][method]["responses"][str(status)]["content"]
    (media_type,) = content
    return media_type, content[media_type]["schema"]


@pytest.fixture
def service(asker, bundle_of):
    return asker(bundle_of())


@pytest.fixture
def described(service):
    return service.get("/openapi.json").json()


def test_every_route_is_described(described):
    """The description holds the routes of this version and no other."""
    routes = {(path, method) for path, methods in described["paths"].items() for method in methods}

    assert {
        ("/", "get"),
        ("/health/live", "get"),
        ("/health/ready", "get"),
        ("/metrics", "get"),
        ("/ping", "get"),
        ("/models/{name}", "get"),
        ("/invocations", "post"),
        (INVOKE, "post"),
        ("/models/{name}/feedback", "post"),
        ("/v1/models", "get"),
        ("/v1/models/{name}", "get"),
        ("/v1/models/{name}:predict", "post"),
        ("/v2", "get"),
        ("/v2/health/live", "get"),
        ("/v2/health/ready", "get"),
        ("/v2/models/{name}", "get"),
        ("/v2/models/{name}/ready", "get"),
        ("/v2/models/{name}/versions/{version}", "get"),
        ("/v2/models/{name}/versions/{version}/ready", "get"),
        ("/v2/models/{name}/infer", "post"),
        ("/v2/models/{name}/versions/{version}/infer", "post"),
        ("/reports", "get"),
        ("/reports/{name}", "get"),
        ("/reports/{name}/", "get"),
        ("/reports/{name}/{page}", "get"),
    } == routes


def test_the_documentation_page_is_there(service):
    """/docs is a page for people."""
    answer = service.get("/docs")

    assert (answer.status_code, answer.headers["content-type"].startswith("text/html")) == (200, True)


@pytest.mark.parametrize("body", GOOD)
def test_described_requests_are_answered_as_described(service, described, body):
    """Each form that is answered fits the request's schema, and its answer the answer's."""
    request = described["paths"][INVOKE]["post"]["requestBody"]["content"]["application/json"]["schema"]
    media_type, schema = schema_of(described, "post", INVOKE, 200)

    answer = service.post(body, "/models/flights/invocations")

    assert (200, media_type) == (answer.status_code, answer.headers["content-type"])
    jsonschema.validate(body, request)
    jsonschema.validate(answer.json(), schema)
    headers = described["paths"][INVOKE]["post"]["responses"]["200"]["headers"]
    assert set(headers) <= set(answer.headers)


@pytest.mark.parametrize("body", BAD)
def test_requests_that_are_not_described_are_refused(service, described, body):
    """What doesn't fit the request's schema is refused, by a problem as it is described."""
    request = described["paths"][INVOKE]["post"]["requestBody"]["content"]["application/json"]["schema"]
    media_type, schema = schema_of(described, "post", INVOKE, 422)

    answer = service.post(body, "/models/flights/invocations")

    assert (422, media_type) == (answer.status_code, answer.headers["content-type"])
    jsonschema.validate(answer.json(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, request)


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 500, 503])
@pytest.mark.parametrize("path", [INVOKE, "/invocations"])
def test_refusals_are_described(described, path, status):
    """Each status that an invocation may be refused with is in the description."""
    media_type, _ = schema_of(described, "post", path, status)

    assert media_type == "application/problem+json"


def test_a_model_tells_what_it_is(service, described):
    """GET /models/{name} gives arms, weights, generation and a signature that reads back, as described."""
    _, schema = schema_of(described, "get", "/models/{name}", 200)

    told = service.get("/models/flights").json()

    jsonschema.validate(told, schema)
    facts = {"version": 3, "bundle": "d" * 64, "runtime": "onnx"}
    assert [{"arm": "stable", "weight": 100, **facts}] == told["arms"]
    assert {"name": "flights", "generation": 2, **facts} == {
        k: told[k] for k in ("name", "generation", *facts)
    }
    assert service.fleet.find("flights").bundle.signature == Signature.model_validate(told["signature"])


def test_status_answers_are_described(service, described):
    """Health and ping answer as described."""
    for path in ("/health/live", "/health/ready", "/ping"):
        _, schema = schema_of(described, "get", path, 200)
        answer = service.get(path)

        assert answer.status_code == 200
        jsonschema.validate(answer.json(), schema)


def test_an_answer_without_rows_would_not_be_described(described):
    """The answer's schema isn't so wide that anything fits."""
    _, schema = schema_of(described, "post", INVOKE, 200)

    for wrong in ({}, {"predictions": [[1]]}, {"predictions": [1], "scores": []}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
