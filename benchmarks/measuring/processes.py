"""Owns running whole processes in turn, and what a result file says of where and when it was measured."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 900
# The caller's own settings would point a side at other services or folders.
OWN = ("EVERTRAIN_", "PREFECT_", "MLFLOW_", "ZENML_", "KEDRO_", "FLYTE", "PYTHON")
SILENT = {
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "KEDRO_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "ZENML_ANALYTICS_OPT_IN": "false",
}


@dataclass(frozen=True)
class Command:
    """One whole process: its words, the variables beside a quiet environment, and where it runs."""

    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT


@dataclass(frozen=True)
class Ran:
    """What a command took and printed."""

    seconds: float
    output: str


class CommandFailed(Exception):
    """A measured command ended with an error."""


def run(command: Command) -> Ran:
    """Run *command* to its end.

    Raises:
        CommandFailed: It failed; tells the end of what it printed.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    started = time.perf_counter()
    done = subprocess.run(
        command.words,
        cwd=command.folder,
        env={**kept, **SILENT, **command.variables},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        said = f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        raise CommandFailed(f"{' '.join(command.words)} ended with {done.returncode}:\n{said}")
    return Ran(seconds, done.stdout)


def tell_circumstances() -> dict[str, Any]:
    """Say which commit was measured, when, and on what machine; call it before the load is your own."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    machine = {
        "cpus": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    return {"commit": commit, "date": datetime.now(UTC).date().isoformat(), "machine": machine}


def medians(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Take the median of each name's values, to the hundredth."""
    return {name: round(statistics.median(taken), 2) for name, taken in values.items() if taken}


def keep(name: str, figures: Mapping[str, Any]) -> None:
    """Write ``benchmarks/results/<name>.json`` and print it."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, "utf-8")
    print(text, end="")
