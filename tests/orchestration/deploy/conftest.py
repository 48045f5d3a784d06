"""Owns what the tests of deploying share: a Prefect server, an installation that uses it, small YAMLs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from httpx import Client, TransportError

from evertrain.settings import Settings, read_settings
from flows.local_server import prefect_api, read_settings_again


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server of one's own, as PREFECT_API_URL names it."""
    before = os.environ.get("PREFECT_API_URL")
    home = tmp_path_factory.mktemp("server-home")
    settings = read_settings({"EVERTRAIN_HOME": str(home)})
    with prefect_api(settings, stays=False) as server:
        assert server is not None
        server.wait_until_ready()
        yield server.url
    if before is not None:
        os.environ["PREFECT_API_URL"] = before
        read_settings_again()


@pytest.fixture
def api(address: str) -> Iterator[Client]:
    """The server's own API, emptied of deployments."""
    with Client(base_url=address, timeout=60) as client:
        empty(client)
        yield client


def empty(api: Client, *, tries: int = 20) -> None:
    """Delete every deployment; one that a busy database refused is tried again."""
    for _ in range(tries):
        # A connection that was kept open may be closed in the very moment in which it is used again.
        with suppress(TransportError):
            there = api.post("/deployments/filter", json={}).raise_for_status().json()
            if not there:
                return
            for item in there:
                api.delete(f"/deployments/{item['id']}")
        time.sleep(0.1)
    raise AssertionError("The server keeps deployments that were deleted.")


@pytest.fixture
def settings(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh installation that uses the server, and a working folder of its own."""
    monkeypatch.setenv("PREFECT_API_URL", address)
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    return read_settings()


def write(name: str, extra: str = "", *, file: str | None = None) -> Path:
    """Write the YAML of a small pipeline under ``configs/``."""
    path = Path("configs") / f"{file or name}.yaml"
    path.write_text(
        dedent(
            f"""\
            name: {name}
            description: Will a loan default?
            owner: risk@example.org
            data:
              source: {{type: files, uri: loans.csv}}
              target: default
            training: {{estimator: sklearn.linear_model.LogisticRegression}}
            evaluation: {{task: binary_classification}}
            """
        )
        + dedent(extra)
    )
    return path


def names(api: Client) -> set[str]:
    """Every deployment there is, by pipeline."""
    return {item["name"] for item in api.post("/deployments/filter", json={}).json()}


def read(api: Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/deployments/name/{name}").raise_for_status().json()
    return found
