"""Owns what is asked of the services from outside, over their published ports."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from engines import CheckFailed, say

T = TypeVar("T")
ANSWER_SECONDS = 30
RUN_SECONDS = 900
RULES = 12
TARGETS = {"inference", "prefect", "prometheus"}
DEAD_ENDS = {"FAILED", "CRASHED", "CANCELLED"}


def ask(url: str, body: Any = None) -> tuple[bytes, dict[str, str]]:
    """The answer's body and headers (small letters).

    Raises:
        OSError: Nobody answers, or with an error.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as reply:
        return reply.read(), {name.lower(): value for name, value in reply.headers.items()}


def ask_json(url: str, body: Any = None) -> Any:
    """The answer's JSON; raises OSError as ``ask``."""
    return json.loads(ask(url, body)[0])


def wait_for(what: str, find: Callable[[], T | None], seconds: float) -> T:
    """Ask until *find* gives something.

    Raises:
        CheckFailed: It didn't within *seconds*.
    """
    deadline = time.monotonic() + seconds
    last: object = "nothing"
    while time.monotonic() < deadline:
        try:
            found = find()
        except OSError as error:
            last = error
        else:
            if found is not None:
                return found
        time.sleep(1)
    raise CheckFailed(f"Waited {seconds:.0f} s for {what}; last: {last}")


def expect(holds: object, what: str) -> None:
    """Say *what* if it holds.

    Raises:
        CheckFailed: It doesn't.
    """
    if not holds:
        raise CheckFailed(f"This doesn't hold: {what}")
    say("holds", what)


def check_pages(addresses: dict[str, str]) -> None:
    """The pages that people look at are there, and Prefect's finds its API."""
    prefect, mlflow = addresses["prefect"], addresses["mlflow"]
    expect(b"<html" in ask(f"{prefect}/")[0].lower(), "Prefect shows its page")
    expect(ask_json(f"{prefect}/ui-settings")["api_url"] == f"{prefect}/api", "Prefect's page finds its API")
    expect(b"<html" in ask(f"{mlflow}/")[0].lower(), "MLflow shows its page")
    expect(b"openapi" in ask(f"{addresses['inference']}/docs")[0], "the service shows its documentation")


def train(prefect: str, pipeline: str) -> str:
    """Have the worker train *pipeline*, as a click on "Run" does; gives the flow run's id.

    Raises:
        CheckFailed: It wasn't registered, or the run didn't complete.
    """
    path = f"{prefect}/api/deployments/name/training/{pipeline}"
    deployment = wait_for(f"training/{pipeline} to be registered", lambda: ask_json(path), 120)["id"]
    flow_run = ask_json(
        f"{prefect}/api/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}}
    )

    def ended() -> dict[str, Any] | None:
        found = ask_json(f"{prefect}/api/flow_runs/{flow_run['id']}")
        return found if found["state_type"] in DEAD_ENDS | {"COMPLETED"} else None

    run = wait_for(f"the worker to train {pipeline}", ended, RUN_SECONDS)
    told = f"{run['state_type'].lower()}, {run['state']['message'] or 'no message'}"
    expect(run["state_type"] == "COMPLETED", f"the worker trained {pipeline}: {told}")
    return str(run["id"])


def check_registered(mlflow: str, pipeline: str) -> None:
    """MLflow has the version as champion, and gives its artifacts out of the store."""
    api = f"{mlflow}/api/2.0/mlflow"
    version = ask_json(f"{api}/registered-models/alias?name={pipeline}&alias=champion")["model_version"]
    expect(version["version"] == "1", f"MLflow calls version 1 of {pipeline} its champion")
    listed = ask_json(f"{api}/artifacts/list?run_id={version['run_id']}")["files"]
    report = next((file["path"] for file in listed if not file["is_dir"]), None)
    expect(report, f"the training run has artifacts: {', '.join(file['path'] for file in listed)}")
    text = ask(f"{mlflow}/get-artifact?run_id={version['run_id']}&path={report}")[0]
    expect(len(text) > 0, f"MLflow gives {report} out of the store")


def check_answers(inference: str, rows: list[dict[str, Any]]) -> None:
    """The service answers with the version just trained, and says so."""
    wait_for("the service to be ready", lambda: ask(f"{inference}/health/ready"), 120)
    body, headers = ask(f"{inference}/invocations", {"dataframe_records": rows})
    answer = json.loads(body)
    expect(
        len(answer["predictions"]) == len(rows) and headers["x-evertrain-version"] == "1",
        f"the service answers from version 1: {answer['predictions']}",
    )


def check_prometheus(prometheus: str, pipeline: str) -> None:
    """Every target is up, every rule loaded, and the request just answered is counted."""

    def up() -> set[str] | None:
        active = ask_json(f"{prometheus}/api/v1/targets")["data"]["activeTargets"]
        healthy = {each["labels"]["job"] for each in active if each["health"] == "up"}
        return healthy if healthy == TARGETS else None

    expect(wait_for("Prometheus' targets to be up", up, 90), f"Prometheus sees {', '.join(sorted(TARGETS))}")
    groups = ask_json(f"{prometheus}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    expect(
        len(rules) == RULES and all(rule["health"] != "err" for rule in rules),
        f"its {RULES} alert rules are loaded",
    )
    query = f"evertrain_requests_total%7Bmodel%3D%22{pipeline}%22%2Ccode%3D%22200%22%7D"

    def counted() -> Any:
        return ask_json(f"{prometheus}/api/v1/query?query={query}")["data"]["result"] or None

    expect(wait_for("the request to be counted", counted, 60), "the request just answered is counted")
    shipped = "evertrain_log_shipped_timestamp_seconds%20%3E%200"

    def kept() -> Any:
        return ask_json(f"{prometheus}/api/v1/query?query={shipped}")["data"]["result"] or None

    expect(wait_for("the answer to be logged", kept, 90), "the answer is kept in the store's prediction log")
