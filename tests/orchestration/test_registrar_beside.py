"""Tests of a run whose work in MLflow goes on in a process beside it, as it does for `evertrain train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evertrain.errors import TrainingError
from evertrain.mlflow_client import mlflow_client
from evertrain.pipelines import open_existing_journal
from evertrain.registrar import RegistrarBeside
from evertrain.settings import read_settings
from flows.ahead import kept_ahead
from flows.launch import TrainingFlow
from flows.registrars import _kept

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
WEAK, STRONG = "sklearn.dummy.DummyClassifier", "sklearn.discriminant_analysis.LinearDiscriminantAnalysis"


@pytest.fixture(scope="module", autouse=True)
def beside() -> Iterator[None]:
    """One registrar's process for the runs of this module, whose own process has MLflow imported."""
    with kept_ahead(_kept, RegistrarBeside()):
        yield


@pytest.fixture
def path(champions: Callable[..., Path]) -> Path:
    """A pipeline with a weak champion whose alias somebody took away."""
    path = champions(WEAK)
    with mlflow_client(read_settings(), "take away by hand") as client:
        client.delete_registered_model_alias("loans", "champion")
    return path


def test_a_run_beside_which_mlflow_works_comes_to_the_same(training: TrainingFlow, path: Path) -> None:
    """The alias is put back and journalled while the model is fitted, then follows the new champion."""
    outcome = training(str(path), overrides=[f"training.estimator={STRONG}"])

    assert (outcome.decision, outcome.version) == ("promoted", 2)
    assert aliases() == {"champion": 2, "previous": 1}
    assert repairs() == 1
    with mlflow_client(read_settings(), "look") as client:
        kept = {file.path for file in client.list_artifacts(outcome.run_id)}
    assert {"curve.png", "gates.json", "report.html"} <= kept


def test_an_alias_is_put_back_also_where_the_fit_fails(training: TrainingFlow, path: Path) -> None:
    """What becomes of the steps beside it is no reason to lose a repair, nor its line in the journal."""
    with pytest.raises(TrainingError):
        training(
            str(path),
            overrides=[f"training.estimator={STRONG}", "training.params={solver: svd, shrinkage: 0.5}"],
        )

    assert aliases() == {"champion": 1}
    assert repairs() == 1


def aliases() -> dict[str, int]:
    with mlflow_client(read_settings(), "look") as client:
        (model,) = client.search_registered_models("name = 'loans'")
        return {alias: int(version) for alias, version in model.aliases.items()}


def repairs() -> int:
    entries, _ = open_existing_journal("loans", read_settings()).read()
    return [entry.kind for entry in entries].count("alias_repaired")
