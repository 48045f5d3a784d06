"""Requests that schemathesis makes up from the OpenAPI page: answered as it says, never by a 500 (S6)."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from serving.app import create_app
from serving.fleet import Fleet, Served

CASES = 2_000


@pytest.fixture
def app(bundle_of):
    fleet = Fleet()
    fleet.put(Served("flights", 1, 1, bundle_of()))
    return create_app(fleet)


def operations_of(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig())
    return [found.ok() for found in schema.get_all_operations()]


def test_made_up_requests_are_answered_as_the_page_says(app):
    """2,000 requests over all routes: the page's statuses and schemas, finite numbers, no 500."""
    operations = operations_of(app)
    asked = {operation.label: 0 for operation in operations}

    def ask(operation, count):
        @seed(0)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case):
            if "name" in case.path_parameters:
                case.path_parameters["name"] = "flights"
            if "version" in case.path_parameters:
                case.path_parameters["version"] = "1"
            asked[operation.label] += 1
            answer = case.call(app=app)
            # Which columns there are isn't in the page, but in each model's signature.
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])
            assert answer.status_code < 500
            if "json" in answer.headers.get("content-type", [""])[0]:
                json.loads(answer.content, parse_constant=pytest.fail)

        check()

    posts = [operation for operation in operations if operation.method.upper() == "POST"]
    for operation in operations:
        ask(operation, CASES // len(posts) if operation in posts else 5)

    assert len(posts) == 6
    assert sum(asked.values()) >= 0.9 * CASES, asked
