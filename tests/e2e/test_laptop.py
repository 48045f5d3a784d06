from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.e2e]

Done = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[2]
NOISE = ("Traceback", "Warning", "ERROR", "database is locked", "Error logging")
HEAVY = ("sklearn", "pandas", "duckdb", "prefect", "mlflow", "great_expectations", "onnxruntime", "pyarrow")


def run(
    *arguments: str, folder: Path, home: Path, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Type a command as a user would, with nothing running before."""
    # Tests that ran earlier in this process may have named a server of theirs.
    theirs = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    return subprocess.run(
        [sys.executable, *python, "-m", "evertrain.cli", *arguments],
        cwd=folder,
        env={**environment, "EVERTRAIN_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def answer(done: Done) -> dict[str, Any]:
    """Read the one JSON object; nothing on standard error that a user would take for an error."""
    assert not [noise for noise in NOISE if noise in done.stderr], done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def left_running(home: Path) -> list[int]:
    """Processes that still work in *home*."""
    return [
        process.pid
        for process in psutil.process_iter()
        if process.pid != os.getpid() and works_in(process, home)
    ]


def works_in(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("EVERTRAIN_HOME") == str(home)
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return False


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    """A folder with the flights pipeline and three months of flights, as `make data` cuts them."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "data" / "flights").mkdir(parents=True)
    shutil.copy(ROOT / "configs" / "flights.yaml", tmp_path / "configs")
    for month in ("01", "02", "03"):
        shutil.copy(ROOT / "data" / "flights" / f"2013-{month}.parquet", tmp_path / "data" / "flights")
    return tmp_path


def test_flights_train_with_nothing_set_up_and_again_from_records(flights: Path, tmp_path: Path) -> None:
    """Two trains in an empty home: the first makes a champion, the second imports nothing heavy to say so."""
    home = tmp_path / "home"

    first = run("train", "configs/flights.yaml", "--json", folder=flights, home=home)
    importing = ("-X", "importtime")
    again = run("train", "configs/flights.yaml", "--json", folder=flights, home=home, python=importing)

    said = answer(first)
    assert (first.returncode, said["decision"], said["version"]) == (0, "promoted", 1)
    assert said["metrics"]["roc_auc"] > 0.6
    assert again.returncode == 0
    assert json.loads(again.stdout) == {**said, "cached": True}
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in again.stderr.splitlines()}
    assert not imported & set(HEAVY)
    assert left_running(home) == []


@pytest.mark.slow
def test_the_demo_tells_its_story_and_ends_what_it_started(tmp_path: Path) -> None:
    """Nine months scored by HTTP, retrains where a probe wins, a page, and no process left."""
    home = tmp_path / "home"

    done = run("demo", "--json", folder=ROOT, home=home)

    story = answer(done)
    assert done.returncode == 0
    months, checks = story["months"], story["checks"]
    assert [month["month"] for month in months] == [f"2013-{number:02}" for number in range(4, 13)]
    assert all(month["rows"] > 25_000 for month in months)
    promoted = [check["train"] and check["train"]["decision"] == "promoted" for check in checks]
    assert 2 <= sum(map(bool, promoted)) < len(months)
    # Who serves a month is whom the checks before it have promoted.
    assert [month["version"] for month in months] == served(story["first"]["version"], checks)
    assert all("regret" in check["triggers"] for check in checks if check["train"])
    kept, never = ([month[name] for month in months] for name in ("champion_auc", "first_auc"))
    assert sum(kept) > sum(never) + 0.1
    assert Path(story["report"]).read_text().count("<svg") == 1
    assert left_running(home / "demo") == []


def served(first: int, checks: list[dict[str, Any]]) -> list[int]:
    """The version that answered each month, by the checks at the months' ends."""
    version, versions = first, []
    for check in checks:
        versions.append(version)
        if check["train"] and check["train"]["decision"] == "promoted":
            version = check["train"]["version"]
    return versions
