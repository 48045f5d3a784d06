from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Champions = Callable[..., Path]
Run = Callable[..., int]
Answer = Callable[[], dict[str, Any]]

WEAK = "sklearn.dummy.DummyClassifier"
STRONG = "sklearn.gaussian_process.GaussianProcessClassifier"


def test_rollback_makes_the_earlier_champion_the_champion(
    champions: Champions, evertrain: Run, answer: Answer
) -> None:
    """`rollback` returns to the champion before, and says so."""
    champions(WEAK, STRONG)
    code = evertrain("rollback", "loans", "--json", "--reason", "bad mood")

    assert code == 0
    assert answer() == {
        "pipeline": "loans",
        "decision": "rolled_back",
        "version": 1,
        "from": 2,
        "generation": 3,
    }
    assert evertrain("audit", "show", "loans", "--json") == 0
    last = answer()["entries"][-1]
    assert (last["kind"], last["why"]) == ("rolled_back", "bad mood")


def test_rollback_needs_no_mlflow(
    champions: Champions,
    evertrain: Run,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With MLflow down the earlier champion serves again all the same; a warning tells of the aliases."""
    champions(WEAK, STRONG)
    capfd.readouterr()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    code = evertrain("rollback", "loans", "--json")

    said = capfd.readouterr()
    assert code == 0
    assert json.loads(said.out)["version"] == 1
    assert "MLflow's aliases follow only with the next train" in said.err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("loans", "1 (champion)", id="no earlier champion"),
        pytest.param("loan", "loans", id="a mistyped name"),
    ],
)
def test_rollback_to_nothing_is_refused(
    champions: Champions, evertrain: Run, answer: Answer, name: str, told: str
) -> None:
    """Exit 2, naming the versions, or the pipelines, that there are."""
    champions()

    code = evertrain("rollback", name, "--json")

    assert code == 2
    assert told in answer()["error"]["message"]
