from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Write = Callable[..., Path]
Run = Callable[..., int]


def answer(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Read standard output, which must be one JSON object and nothing else."""
    found = json.loads(capfd.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_rollback_makes_the_earlier_champion_the_champion(
    training: TrainingFlow,
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`rollback` returns to the champion before, and says so."""
    path = str(write_pipeline(estimator="sklearn.dummy.DummyClassifier"))
    evertrain("train", path)
    evertrain("train", path, "--set", "training.estimator=sklearn.linear_model.LogisticRegression")
    capfd.readouterr()

    code = evertrain("rollback", "loans", "--json", "--reason", "bad mood")

    assert code == 0
    assert answer(capfd) == {
        "pipeline": "loans",
        "decision": "rolled_back",
        "version": 1,
        "from": 2,
        "generation": 3,
    }
    assert evertrain("audit", "show", "loans", "--json") == 0
    last = answer(capfd)["entries"][-1]
    assert (last["kind"], last["why"]) == ("rolled_back", "bad mood")


def test_rollback_needs_no_mlflow(
    training: TrainingFlow,
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With MLflow down the earlier champion serves again all the same; a warning tells of the aliases."""
    path = str(write_pipeline(estimator="sklearn.dummy.DummyClassifier"))
    evertrain("train", path)
    evertrain("train", path, "--set", "training.estimator=sklearn.linear_model.LogisticRegression")
    capfd.readouterr()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    code = evertrain("rollback", "loans", "--json")

    said = capfd.readouterr()
    assert code == 0
    assert json.loads(said.out)["version"] == 1
    assert "MLflow's aliases follow only with the next train" in said.err


def test_rollback_without_an_earlier_champion_is_refused(
    training: TrainingFlow,
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """There is nothing to go back to: exit 2, naming the versions there are."""
    evertrain("train", str(write_pipeline()))
    capfd.readouterr()

    code = evertrain("rollback", "loans", "--json")

    assert code == 2
    assert "1 (champion)" in answer(capfd)["error"]["message"]


def test_rollback_of_an_unknown_pipeline_names_those_there_are(
    training: TrainingFlow,
    home: Path,
    write_pipeline: Write,
    evertrain: Run,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A mistyped name is told, with the names to choose from."""
    evertrain("train", str(write_pipeline()))
    capfd.readouterr()

    code = evertrain("rollback", "loan", "--json")

    assert code == 2
    assert "loans" in answer(capfd)["error"]["message"]
