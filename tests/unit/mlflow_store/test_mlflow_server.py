"""Tests of the record on a real MLflow server, over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pandas as pd
import pytest

from evertrain.mlflow_client import mlflow_client
from evertrain.quiet import quiet
from evertrain.registry import Repair, mirror_aliases, register
from evertrain.settings import read_settings
from evertrain.tracking import log_run, run_url

pytestmark = pytest.mark.slow


@pytest.fixture
def address(template, tmp_path):
    """The address of an MLflow server that ends with the test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "s.db").write_bytes((template / "mlflow.db").read_bytes())
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/s.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_healthy(address):
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health"):
                return
        except urllib.error.URLError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_server_takes_run_version_and_aliases_once(address, facts, capfd):
    """Over HTTP too a run key has one run and one version, MLflow loads it, and nothing is printed."""
    with quiet():  # what it says at its import of its own types is no concern of ours
        import mlflow.pyfunc

    settings = read_settings({"MLFLOW_TRACKING_URI": address})
    run_id = log_run(settings, facts)
    version = register(settings, facts, run_id)
    assert (log_run(settings, facts), register(settings, facts, run_id)) == (run_id, version)
    assert mirror_aliases(settings, "flights", {"champion": 1}) == (Repair("champion", None, 1),)
    assert run_url(settings, run_id) == f"{address}/#/experiments/1/runs/{run_id}"

    with mlflow_client(settings, "load"):
        mlflow.set_tracking_uri(address)
        model = mlflow.pyfunc.load_model("models:/flights@champion")
    assert model.predict(pd.DataFrame({"dep time": [1], "origin": ["EWR"]})).tolist() == ["No"]
    assert capfd.readouterr() == ("", "")
