"""The service stays light: what it loads to answer from a bundle in ONNX."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "tasks",
    "flows",
    "prefect",
    "mlflow",
    "evidently",
    "great_expectations",
    "pandas",
    "sklearn",
    "skops",
    "scipy",
    "duckdb",
    "pyarrow",
    "skl2onnx",
    "boto3",
    "fastapi",
)
PROGRAM = """
import asyncio, json, sys
import serving.server
from evertrain.storage import attach_store
from serving.app import create_app
from serving.fleet import Fleet
from serving.watcher import Watcher

fleet = Fleet()
Watcher(attach_store(sys.argv[1]), fleet, ["flights"]).look()
app = create_app(fleet)
body = b'{"instances": [{"distance": 1, "carrier": "UA", "night flight": true, "departs": null}]}'
scope = {"type": "http", "method": "POST", "path": "/invocations", "query_string": b"", "root_path": "",
         "scheme": "http", "server": ("x", 80), "http_version": "1.1",
         "headers": [(b"content-type", b"application/json")]}
sent = []

async def receive():
    return {"type": "http.request", "body": body, "more_body": False}

async def send(message):
    sent.append(message)

asyncio.run(app(scope, receive, send))
modules = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps({"status": sent[0]["status"], "modules": modules}))
"""


@pytest.mark.e2e
def test_answering_loads_nothing_heavy(store, constant_bundle, promote):
    """Importing the service and answering from ONNX loads no control plane, no pandas and no scikit-learn."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, store.where],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )

    told = json.loads(done.stdout)
    assert told["status"] == 200
    assert "onnxruntime" in told["modules"]
    assert not set(HEAVY) & set(told["modules"])
