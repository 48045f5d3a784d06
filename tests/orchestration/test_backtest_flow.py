"""The flow ``backtest``: pieces as processes of this machine, and as tasks of the flow's runner."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from evertrain.errors import ConfigError
from evertrain.settings import read_settings
from evertrain.storage import open_store
from flows.launch import TrainingFlow
from tests.unit.backtest.conftest import BEGIN, write_pipeline

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]


def test_the_flow_replays_by_tasks_and_then_recalls(
    training: TrainingFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where DASK_ADDRESS is set each piece is a task of its runner; what tasks kept, processes recall."""
    from flows.backtest import backtest_flow

    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DASK_ADDRESS", "tcp://the-flow-s-runner-decides")
    path = write_pipeline(tmp_path)
    since, until = BEGIN + timedelta(days=30), BEGIN + timedelta(days=50)
    # Without a zone, as Prefect's form gives it.
    asked = (str(path), since.replace(tzinfo=None), until.replace(tzinfo=None), "20d")
    by_tasks = backtest_flow(*asked)

    assert by_tasks.computed > 3
    assert by_tasks.since == since
    assert [each.name for each in by_tasks.strategies] == ["never", "always", "always, no gates", "policy"]
    monkeypatch.delenv("DASK_ADDRESS")
    by_processes = backtest_flow(*asked)

    assert by_processes.computed == 0
    assert by_processes.strategies == by_tasks.strategies
    kept = {key.split("/")[0] for key in open_store(read_settings().store).list("")}
    assert "journal" not in kept


def test_a_cluster_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where DASK_ADDRESS is set and prefect-dask isn't installed, it says what to install."""
    from flows.backtest import dask_runner

    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with pytest.raises(ConfigError, match=r"install evertrain\[dask\], or unset it"):
        dask_runner("tcp://127.0.0.1:1")
