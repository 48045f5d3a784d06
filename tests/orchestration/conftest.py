"""Owns what the tests of flows and commands share: one Prefect server a session, and small real pipelines."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from evertrain.cli.app import main
from evertrain.settings import read_settings
from flows.launch import TrainingFlow, training_ready
from flows.local_server import read_settings_again

Write = Callable[..., Path]
Run = Callable[..., int]

# As good as a logistic regression, and never tried in ONNX: the child that converts takes longer than a fit.
LEARNER = "sklearn.gaussian_process.GaussianProcessClassifier"
PIPELINE = """\
name: loans
data:
  source: {type: files, uri: loans.csv}
  target: default
training: {estimator: ESTIMATOR}
evaluation: {task: binary_classification}
"""


@pytest.fixture(autouse=True)
def prefect_as_before() -> Iterator[None]:
    """Let no test leave another a Prefect that still believes the test's environment.

    A test sets PREFECT_API_URL and has it put back at its end: Prefect, which read it meanwhile, isn't told.
    """
    yield
    if "prefect" in sys.modules:
        from prefect.settings import get_current_settings

        if get_current_settings().api.url != os.environ.get("PREFECT_API_URL"):
            read_settings_again()


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingFlow]:
    """The flow ``training`` and an embedded server for it, as long as the session."""
    home = tmp_path_factory.mktemp("prefect-home")
    settings = read_settings({**os.environ, "EVERTRAIN_HOME": str(home)})
    with training_ready(settings) as train:
        yield train


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables made: three seconds that need be spent once."""
    from evertrain.registry import mirror_aliases

    home = tmp_path_factory.mktemp("registry")
    mirror_aliases(read_settings({**os.environ, "EVERTRAIN_HOME": str(home)}), "none", {})
    return home / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_registry: Path) -> Path:
    """A fresh EVERTRAIN_HOME, and a working folder of its own."""
    place = tmp_path / "home"
    place.mkdir()
    shutil.copy(empty_registry, place / "mlflow.db")
    monkeypatch.setenv("EVERTRAIN_HOME", str(place))
    monkeypatch.chdir(tmp_path)
    return place


@pytest.fixture
def evertrain(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process; gives the exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["evertrain", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


@pytest.fixture
def answer(capfd: pytest.CaptureFixture[str]) -> Callable[[], dict[str, Any]]:
    """Read standard output since the last look, which must be one JSON object and nothing else."""

    def read() -> dict[str, Any]:
        found = json.loads(capfd.readouterr().out)
        assert isinstance(found, dict)
        return found

    return read


@pytest.fixture
def write_pipeline(tmp_path: Path) -> Write:
    """Write ``loans.csv`` and ``loans.yaml``: 600 made-up loans, will they default?"""

    def write(*, rows: int = 600, seed: int = 0, extra: str = "", estimator: str = LEARNER) -> Path:
        write_loans(tmp_path / "loans.csv", rows=rows, seed=seed)
        path = tmp_path / "loans.yaml"
        path.write_text(PIPELINE.replace("ESTIMATOR", estimator) + dedent(extra))
        return path

    return write


@pytest.fixture(scope="session")
def trained_once(
    training: TrainingFlow, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Give a folder with loans and a home in which estimators were champions in turn; each trained once."""
    from evertrain.validation import import_great_expectations

    # Whoever has it already starts no process that would have to import it for each train.
    import_great_expectations()
    made: dict[tuple[str, ...], Path] = {}

    def train(*estimators: str, extra: str = "") -> Path:
        if (*estimators, extra) in made:
            return made[*estimators, extra]
        folder = tmp_path_factory.mktemp("champions")
        (folder / "home").mkdir()
        shutil.copy(empty_registry, folder / "home" / "mlflow.db")
        write_loans(folder / "loans.csv", rows=600, seed=0)
        (folder / "loans.yaml").write_text(PIPELINE.replace("ESTIMATOR", estimators[0]) + dedent(extra))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EVERTRAIN_HOME", str(folder / "home"))
            patch.chdir(folder)
            for estimator in estimators:
                outcome = training("loans.yaml", overrides=[f"training.estimator={estimator}"])
                assert outcome.decision == "promoted", outcome.reasons
        made[*estimators, extra] = folder
        return folder

    return train


@pytest.fixture
def champions(
    trained_once: Callable[..., Path], tmp_path: Path, home: Path, evertrain: Run
) -> Callable[..., Path]:
    """Begin with the loans' YAML, and a home in which *estimators* were champions, the last still is."""

    def copy(*estimators: str, extra: str = "") -> Path:
        kept = trained_once(*(estimators or (LEARNER,)), extra=extra)
        shutil.rmtree(home)
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
        return tmp_path / "loans.yaml"

    return copy


def write_loans(path: Path, *, rows: int, seed: int) -> None:
    """Write loans whose default depends on income and purpose."""
    random = np.random.default_rng(seed)
    income = random.normal(50, 15, rows).round(2)
    purpose = random.choice(["car", "home", "trip"], rows)
    score = (45 - income) / 10 + (purpose == "trip") * 1.5 + random.normal(0, 1, rows)
    lines = [
        f"{number},{amount},{what},{'Yes' if value > 0 else 'No'}"
        for number, (amount, what, value) in enumerate(zip(income, purpose, score, strict=True))
    ]
    path.write_text("\n".join(["loan id,income,purpose,default", *lines]) + "\n")
