"""Owns the proof S6: what schemathesis makes up is answered as the OpenAPI page says."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
from resumable import prove

from evertrain.bundle_files import Golden
from evertrain.bundles import Bundle
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from serving.app import ShortWay, create_app
from serving.fleet import Fleet, Served

CLAIM = (
    "20,000 requests made up from the OpenAPI page, fitting and not, over all routes: none is answered "
    "by a 5xx, none otherwise than the page says, and no number in an answer is not finite"
)
EACH = 34
NAMED = {"name": "flights", "version": "1"}
FEATURES = (
    Feature(name="distance", kind="numeric", type="float"),
    Feature(name="carrier", kind="categorical", type="string"),
    Feature(name="departs", kind="datetime", type="timestamp"),
)


def make_app() -> ShortWay:
    """A service of one made-up model."""
    signature = Signature(
        task="binary_classification",
        target="late",
        features=FEATURES,
        classes=("No", "Yes"),
        has_probabilities=True,
    )

    def run(inputs: Any) -> Prediction:
        rows = len(inputs["in_000"])
        return Prediction(codes=np.zeros(rows, dtype=np.int64), probabilities=np.full((rows, 2), 0.5))

    golden = Golden(columns={}, tolerance=0.0)
    bundle = Bundle("d" * 64, "onnx", signature, golden, {}, {}, 0, run)
    fleet = Fleet()
    fleet.put(Served("flights", 1, 1, bundle))
    return create_app(fleet)


def trial(number: int) -> dict[str, int]:
    """Some requests to each route that takes rows or labels."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    warnings.simplefilter("ignore")
    app = make_app()
    counts = {"requests": 0, "server_errors": 0, "otherwise": 0, "not_finite": 0, "answered": 0}

    def note_constant(_text: str) -> None:
        counts["not_finite"] += 1

    def check_all(operation: Any) -> None:
        @seed(number)
        @settings(
            max_examples=EACH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            for name in set(case.path_parameters) & set(NAMED):
                case.path_parameters[name] = NAMED[name]
            answer = case.call(app=app)
            counts["requests"] += 1
            counts["answered"] += answer.status_code == 200
            counts["server_errors"] += answer.status_code >= 500
            try:
                case.validate_response(answer, excluded_checks=[positive_data_acceptance])
            except Exception:  # whatever differs is one more; the test of the same name shows it
                counts["otherwise"] += 1
            if "json" in answer.headers.get("content-type", [""])[0]:
                json.loads(answer.content, parse_constant=note_constant)

        check()

    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.method.upper() == "POST":
            check_all(operation)
    return counts


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """None may fail, differ, or hold a number that is none; and there must be twenty thousand."""
    broken = sum(totals[name] > 0 for name in ("server_errors", "otherwise", "not_finite"))
    return broken + (totals["requests"] < 20_000), {"requests_each": totals["requests"] / n}


if __name__ == "__main__":
    prove("S6", CLAIM, trial, judge, n=110)
