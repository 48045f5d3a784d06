"""What was deployed, run by a real worker; and Prefect's own file beside it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from httpx import Client

from evertrain.settings import Settings
from flows.deploying import deploy_pipelines
from tests.orchestration.deploy.conftest import names, read, write

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("deploy")]

RUN_SECONDS = 600
REPOSITORY = Path(__file__).parents[3]


def ask_for(api: Client, name: str, **parameters: Any) -> str:
    """Ask for a run as the form does; gives its id."""
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    answer = api.post(f"/deployments/{read(api, name)['id']}/create_flow_run", json=body).raise_for_status()
    return str(answer.json()["id"])


def work_once(pool: str, folder: Path) -> None:
    """Have a real worker of *pool* run what is due, to its end."""
    words = ["-m", "prefect", "worker", "start", "--pool", pool, "--run-once", "--limit", "1"]
    subprocess.run([sys.executable, *words], cwd=folder, check=True, timeout=RUN_SECONDS)


@pytest.mark.slow
@pytest.mark.timeout(3 * RUN_SECONDS)
@pytest.mark.parametrize("way", ["prefect.yaml", "evertrain deploy"])
def test_a_worker_runs_what_was_deployed(
    settings: Settings, api: Client, tmp_path: Path, write_pipeline: Callable[..., Path], way: str
) -> None:
    """From the project's folder; a wrong value in the form is a failed run that says so."""
    write_pipeline()
    write("flights")
    for name, kind in (("processes", "process"), ("containers", "docker"), ("kubernetes", "kubernetes")):
        api.post("/work_pools/", json={"name": name, "type": kind})
    if way == "prefect.yaml":
        file = str(REPOSITORY / "deployments" / "prefect.yaml")
        words = ["-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file]
        environment = {**os.environ, "PWD": str(tmp_path)}
        subprocess.run([sys.executable, *words], env=environment, check=True, timeout=RUN_SECONDS)
        assert names(api) == {"flights", "flights-docker", "flights-kubernetes"}
    else:
        deploy_pipelines(["configs"], settings, pool="processes")
    good = ask_for(api, "training/flights", overrides=["training.seed=1"], as_of="2030-01-01T00:00:00Z")
    work_once("processes", tmp_path)
    wrong = ask_for(api, "training/flights", overrides=["x"])
    work_once("processes", tmp_path)

    run = api.get(f"/flow_runs/{good}").json()
    assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
    assert run["name"] == "flights 2030-01-01"
    state = api.get(f"/flow_runs/{wrong}").json()["state"]
    assert state["type"] == "FAILED"
    assert '--set: "x"; expected PATH=VALUE' in state["message"]


def test_prefect_s_own_file_names_what_there_is() -> None:
    """Each entry's flow, parameters and YAML exist; every kind of pool has a training and a check."""
    deployments = yaml.safe_load((REPOSITORY / "deployments" / "prefect.yaml").read_text())["deployments"]

    for entry in deployments:
        module, _, name = entry["entrypoint"].rpartition(".")
        known = set(getattr(importlib.import_module(module), name).parameters.properties)
        given = entry["parameters"] | entry["schedules"][0]["parameters"]
        assert set(given) <= known
        assert (REPOSITORY / entry["parameters"]["config"]).is_file()
    flows = {(entry["work_pool"]["name"], entry["entrypoint"]) for entry in deployments}
    assert len(flows) == len(deployments) == 6
