from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evertrain import audit
from evertrain.mlflow_client import mlflow_client
from evertrain.pipelines import open_existing_journal
from evertrain.settings import read_settings

pytestmark = [pytest.mark.fault, pytest.mark.xdist_group("kills")]
Write = Callable[..., Path]
Train = Callable[..., int]

ROOT = Path(__file__).parents[2]
STEPS = ("ingest", "validate", "train", "package", "evaluate", "register", "promote", "report", "page")
POINTS = (
    *(f"after-{step}" for step in STEPS),
    "tracking-before-finish",
    "registry-before-finalize",
    "registry-after-create-version",
    "journal-before-head:1",
    "journal-before-head:2",
    "journal-before-head:3",
    "journal-before-head:4",
    "claim-before-lease",
)
SOONEST = ("after-ingest", "after-train", "registry-after-create-version", "journal-before-head:3")
"""One of each kind, for `make test`: a point takes ten seconds. `make test-services` has the others."""


@pytest.fixture(scope="module")
def runner() -> Iterator[subprocess.Popen[str]]:
    """The fork harness with all libraries imported, and a Prefect server of its own."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("kill_runner.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.fixture
def train(runner: subprocess.Popen[str], home: Path, tmp_path: Path) -> Train:
    """Run one training in a fork that is killed at *failpoint*, if it gets there."""

    def run(config: Path, failpoint: str = "") -> int:
        assert runner.stdin is not None
        assert runner.stdout is not None
        order = {"folder": str(tmp_path), "home": str(home), "config": str(config), "failpoint": failpoint}
        runner.stdin.write(json.dumps(order) + "\n")
        runner.stdin.flush()
        return int(runner.stdout.readline())

    return run


@pytest.mark.parametrize(
    "point",
    [pytest.param(point, marks=() if point in SOONEST else pytest.mark.services) for point in POINTS],
)
def test_a_killed_training_started_again_makes_one_version(
    point: str, train: Train, home: Path, write_pipeline: Write
) -> None:
    """Wherever kill -9 falls: one version, run and promotion, an unbroken journal, aliases that follow."""
    path = write_pipeline()

    assert train(path, point) == -9
    assert train(path) == 0

    journal = open_existing_journal("loans", read_settings())
    entries, state = journal.read()
    assert audit.verify(journal).problems == ()
    assert [entry.kind for entry in entries].count("registered") == 1
    assert [entry.kind for entry in entries].count("promoted") == 1
    assert (state.champion, state.generation, dict(state.claims)) == (1, 1, {})
    assert registered_versions() == [1]
    assert champion_alias() == 1
    assert not list((home / "store").rglob("*.tmp*"))


def test_every_step_of_the_flow_is_killed_once() -> None:
    """A step that is added to the flow must be added to the points above."""
    named = set()
    flow = ast.parse((ROOT / "flows" / "training.py").read_text())
    modules = {node.module for node in ast.walk(flow) if isinstance(node, ast.ImportFrom) and node.module}
    for module in (module for module in modules if module.startswith("tasks.")):
        for node in ast.walk(ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "step":
                assert isinstance(node.args[0], ast.Constant)
                named.add(node.args[0].value)

    assert named == set(STEPS)


def test_every_failpoint_of_the_registry_is_killed_once() -> None:
    """A failpoint that is added between two calls to MLflow must be added to the points above."""
    sources = [ROOT / "evertrain" / f"{name}.py" for name in ("tracking", "registry", "mlflow_client")]
    named = {point for path in sources for point in re.findall(r'failpoint\("([^"]+)"', path.read_text())}

    assert named <= set(POINTS)


def registered_versions() -> list[int]:
    with mlflow_client(read_settings(), "look") as client:
        runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        versions = client.search_model_versions("name = 'loans'")
        assert len(runs) == 1
        return [int(version.version) for version in versions]


def champion_alias() -> int:
    with mlflow_client(read_settings(), "look") as client:
        (model,) = client.search_registered_models("name = 'loans'")
        return int(model.aliases["champion"])
