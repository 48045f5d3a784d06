from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("evertrain", "tasks", "flows", "serving")
# For each contract one line that breaks it, and the module that the line is added to.
VIOLATIONS = {
    "rings": ("tasks/__init__.py", "import flows"),
    "library-below-rings": ("evertrain/journal/__init__.py", "def plant() -> None:\n    import tasks"),
    "service-apart": ("serving/__init__.py", "import mlflow"),
    "service-native-only": ("evertrain/bundles.py", "import sklearn"),
    "library-without-frameworks": ("evertrain/config/__init__.py", "import fastapi"),
    "layers": ("evertrain/journal/__init__.py", "import evertrain.config"),
    "no-vendor-in-tasks-and-flows": ("tasks/train.py", "import pandas"),
    "nothing-is-pickled": ("evertrain/storage/__init__.py", "import pickle"),
    "vendor-boto3": ("evertrain/journal/__init__.py", "import boto3"),
    "vendor-sqlalchemy": ("evertrain/outcomes.py", "import sqlalchemy"),
    "vendor-mlflow": ("evertrain/reports/__init__.py", "import mlflow.sklearn"),
    "vendor-great-expectations": ("evertrain/evaluation/__init__.py", "from great_expectations import core"),
    "vendor-evidently": ("tasks/evaluate.py", "import evidently"),
    "vendor-skl2onnx": ("evertrain/training/__init__.py", "import skl2onnx"),
    "vendor-onnxruntime": ("evertrain/evaluation/__init__.py", "import onnxruntime"),
    "vendor-skops": ("evertrain/bundles.py", "import skops.io"),
    "vendor-apprise": ("flows/training.py", "import apprise"),
    "vendor-prefect": ("serving/scoring.py", "import prefect"),
    "vendor-fastapi": ("tasks/run.py", "import fastapi"),
    "vendor-duckdb": ("evertrain/evaluation/__init__.py", "import duckdb"),
    "vendor-prometheus": ("serving/scoring.py", "import prometheus_client"),
    "vendor-optuna": ("evertrain/training/search.py", "import optuna"),
}


def contracts_of(repository: Path) -> list[dict[str, Any]]:
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))
    contracts: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return contracts


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache", *options]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=120)


def copy_tree(repository: Path, folder: Path) -> Path:
    """The packages and the contracts, free to be broken."""
    for package in PACKAGES:
        shutil.copytree(repository / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def planted(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the tree in which every violation is planted."""
    copy = copy_tree(repository, tmp_path_factory.mktemp("planted"))
    for path, line in VIOLATIONS.values():
        module = copy / path
        module.write_text(f"{module.read_text('utf-8')}\n{line}\n", "utf-8")
    checked = lint(copy)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    return checked.stdout


def complaint(said: str, title: str) -> str:
    """The part of the linter's answer in which it says what breaks the contract *title*."""
    heading = f"\n{title}\n{'-' * len(title)}\n"
    assert heading in said, said
    rest = said.partition(heading)[2]
    return re.split(r"\n\n\n(?=.+\n-+\n)", rest)[0]


def test_the_contracts_hold(repository: Path) -> None:
    """Every import goes the way the house allows."""
    checked = lint(repository)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_contract_has_a_violation_to_catch(repository: Path) -> None:
    """No contract is taken on trust: each has its planted violation here, and none is planted in vain."""
    assert {contract["id"] for contract in contracts_of(repository)} == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_planted_violation_is_caught(contract: str, planted: str, repository: Path) -> None:
    """The contract that forbids an import breaks by it, and names who imports what."""
    path, line = VIOLATIONS[contract]
    importer = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    imported = re.search(r"(?:from|import) ([\w.]+)", line)[1]
    # Of another's package import-linter knows no modules.
    imported = imported if imported.partition(".")[0] in PACKAGES else imported.partition(".")[0]
    (title,) = (found["name"] for found in contracts_of(repository) if found["id"] == contract)

    assert f"{title} BROKEN" in planted
    assert f"{importer} -> {imported} (l." in complaint(planted, title)


def test_a_module_without_a_place_in_the_layers_is_refused(repository: Path, tmp_path: Path) -> None:
    """Whoever adds a module to the library says which layer it belongs to."""
    copy = copy_tree(repository, tmp_path)
    (copy / "evertrain" / "stray.py").write_text("", "utf-8")

    checked = lint(copy, "--contract", "layers")

    assert checked.returncode == 1
    assert "evertrain.stray" in checked.stdout
