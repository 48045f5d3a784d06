"""The dashboard: a real Prometheus scrapes a real service, and every panel shows something."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from evertrain.bundle_files import SERVING, write_bundle
from evertrain.canonical import canonical_json
from evertrain.serving_plan import ServingPlan
from evertrain.storage import open_store

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deployments/grafana/inference.json"
WAIT_SECONDS = 90
STATISTICS = {
    "distance": {"kind": "numeric", "count": 90, "missing_share": 0.1},
    "carrier": {"kind": "categorical", "count": 100, "missing_share": 0.0, "categories": ["AA", "UA"]},
}
# What Grafana puts in place of its variables.
VARIABLES = {"$model": ".*", "$__rate_interval": "5s"}
# A champion doesn't change here, and a part is stored after twenty seconds.
MAY_BE_EMPTY = {"annotation A champion changed", "Since a part was stored A"}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus isn't installed (Debian has a package of it)"
    ),
]


def panels():
    """The panels that ask something, and the one query of the list of models."""
    return [panel for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"] if panel["type"] != "row"]


def queries():
    """Every query of the page, by where it stands."""
    page = json.loads(DASHBOARD.read_text("utf-8"))
    asked = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel["targets"]
    }
    asked |= {f"annotation {each['name']}": each["expr"] for each in page["annotations"]["list"]}
    for name, value in VARIABLES.items():
        asked = {where: expr.replace(name, value) for where, expr in asked.items()}
    return asked


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_until(holds):
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answers(address):
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def running(words, ready, log, **variables) -> Iterator[None]:
    """A program, from when it is ready until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in words],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: answers(ready) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def service(tmp_path, constant_files, promote):
    """The address of a service whose model knows what its training rows looked like."""
    store = open_store(str(tmp_path / "store"))
    plan = ServingPlan(expectations=({"type": "expect_column_values_to_not_be_null", "column": "distance"},))
    more = {"statistics.json": STATISTICS, SERVING: plan.model_dump(mode="json")}
    files = constant_files(0.25) | {name: canonical_json(document) for name, document in more.items()}
    promote(store, "flights", 1, write_bundle(store, "onnx", files, "test"))
    address = f"http://127.0.0.1:{(port := free_port())}"
    words = (sys.executable, "-m", "evertrain.cli", "serve", "flights", "--port", port)
    with running(words, f"{address}/health/ready", tmp_path / "serve.log", EVERTRAIN_HOME=str(tmp_path)):
        yield address


@pytest.fixture
def prometheus(tmp_path, service):
    """The address of a Prometheus that looks at the service twice a second."""
    job = {"job_name": "inference", "static_configs": [{"targets": [service.removeprefix("http://")]}]}
    timing = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({"global": timing, "scrape_configs": [job]}))
    address = f"http://127.0.0.1:{(port := free_port())}"
    words = ("prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}")
    words += (f"--web.listen-address=127.0.0.1:{port}", "--log.level=error")
    with running(words, f"{address}/-/ready", tmp_path / "prometheus.log"):
        yield address


def ask_around(service):
    """Requests of each kind: answered, with values unlike training's, refused, for no model."""
    good = {"distance": 1400, "carrier": "UA", "night flight": False, "departs": "2013-01-31T05:00:00Z"}
    odd = good | {"distance": None, "carrier": "ZZ"}
    for row, path in (
        (good, "flights"),
        (odd, "flights"),
        ({"distance": "far"}, "flights"),
        (good, "nobody"),
    ):
        httpx.post(f"{service}/models/{path}/invocations", json={"dataframe_records": [row]}, timeout=20)


def ask_prometheus(prometheus, expression):
    """The values of a query; raises where Prometheus refuses it."""
    found = httpx.get(f"{prometheus}/api/v1/query", params={"query": expression}, timeout=20).json()
    assert found["status"] == "success", found
    return [float(each["value"][1]) for each in found["data"]["result"]]


def shows(values):
    return any(value == value for value in values)  # noqa: PLR0124 - a number, not NaN


def test_every_panel_shows_what_a_service_under_load_tells(service, prometheus):
    """Each query of the page is one that Prometheus takes, and each panel has a value once requests came."""
    asked = queries()
    found: dict[str, list[float]] = {}
    deadline = time.monotonic() + WAIT_SECONDS
    while missing := {where for where in asked if not shows(found.get(where, []))} - MAY_BE_EMPTY:
        assert time.monotonic() < deadline, missing
        ask_around(service)
        found = {where: ask_prometheus(prometheus, expression) for where, expression in asked.items()}

    assert found["Unseen categories A"] == [pytest.approx(0.5, abs=0.3)]
