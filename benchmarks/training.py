"""Owns the training run's figures: `evertrain train configs/flights.yaml` beside a straight script.

``python benchmarks/training.py [ROUNDS]`` writes ``benchmarks/results/training.json``. Each command is a
whole process, all are byte-compiled, and they take turns, so that a change in the machine's pace meets all.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from evertrain.registry import mirror_aliases
from evertrain.settings import read_settings
from flows.local_server import prefect_api

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "training.json"
DATA = ROOT / "data" / "flights"
TRAIN = ("-m", "evertrain.cli", "train", "configs/flights.yaml", "--as-of", "2013-04-01", "--json")
STRAIGHT = "straight script: Great Expectations, scikit-learn, MLflow"
NOTHING_UP, SERVER_UP = "evertrain, nothing up", "evertrain, a Prefect server up"
AGAIN = "evertrain again, nothing changed"


def main() -> None:
    """Measure, print and keep the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    load = os.getloadavg()[0]
    seconds: dict[str, list[float]] = {STRAIGHT: [], NOTHING_UP: [], SERVER_UP: [], AGAIN: []}
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as folder:
        template = prepare(Path(folder) / "template")
        for number in range(rounds):
            measure_round(seconds, Path(folder) / str(number), template)
    medians = {name: round(statistics.median(values), 2) for name, values in seconds.items()}
    figures = {
        "commit": ask_git("rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "load_1m": round(load, 2), "system": platform.system()},
        "n": rounds,
        "seconds_median": medians,
        "seconds": {name: [round(value, 2) for value in values] for name, values in seconds.items()},
        "ratio_to_straight_script": {
            name: round(value / medians[STRAIGHT], 2) for name, value in medians.items() if name != STRAIGHT
        },
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def prepare(home: Path) -> Path:
    """Make MLflow's tables and Prefect's once: both sides have a database, as on any day but the first."""
    home.mkdir(parents=True)
    settings = read_settings({"EVERTRAIN_HOME": str(home)})
    mirror_aliases(settings, "none", None, None)
    with prefect_api(settings) as server:
        assert server is not None
        server.wait_until_ready()
    return home


def measure_round(seconds: dict[str, list[float]], folder: Path, template: Path) -> None:
    """Take each command once, each in a home of its own."""
    folder.mkdir()
    straight = [sys.executable, str(ROOT / "benchmarks/peers/straight_flights.py"), str(DATA), str(folder)]
    shutil.copy(template / "mlflow.db", folder)
    seconds[STRAIGHT].append(timed(lambda: check(straight, {})))
    cold, warm = (shutil.copytree(template, folder / name) for name in ("cold", "warm"))
    seconds[NOTHING_UP].append(timed(run_evertrain(cold)))
    seconds[AGAIN].append(timed(run_evertrain(cold)))
    with prefect_api(read_settings({"EVERTRAIN_HOME": str(folder / "server")})) as server:
        assert server is not None
        server.wait_until_ready()
        seconds[SERVER_UP].append(timed(run_evertrain(warm, PREFECT_API_URL=server.url)))


def run_evertrain(home: Path, **variables: str) -> Callable[[], None]:
    """Build the call that trains flights in *home*."""
    return lambda: check([sys.executable, *TRAIN], {"EVERTRAIN_HOME": str(home), **variables})


def timed(call: Callable[[], None]) -> float:
    """Seconds that *call* takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def check(command: list[str], variables: dict[str, str]) -> None:
    """Run *command* at the root; raises where it fails."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("EVERTRAIN_", "PREFECT_"))
    }
    done = subprocess.run(
        command, cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def ask_git(*words: str) -> str:
    """Ask git at the root."""
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
