"""Owns the user of real services: a folder with a pipeline, an environment that names them, commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

PROGRAMS = Path(sys.executable).parent
WAIT_SECONDS = 900
SECOND_SIGNAL_SECONDS = 60
PIPELINE = """\
name: {name}
data:
  source: {{type: files, uri: loans.csv}}
  timestamp: day
  target: default
  features: {{numeric: [income], categorical: [purpose]}}
  window: {{train: 20d, holdout: 10d}}
training: {{estimator: sklearn.tree.DecisionTreeClassifier, params: {{max_depth: 1}}}}
evaluation:
  task: binary_classification
  gates: [{{type: threshold, metric: roc_auc, min: 0.5}}]
{drift}
"""
DRIFT = "drift: {current: {from: source, window: 5d, min_rows: 50}}"


class User:
    """Somebody in a folder with a pipeline, whose environment names the services; types commands."""

    def __init__(self, folder: Path, services: Any, pipeline: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.services = services
        self.pipeline = pipeline
        self.environment = {**os.environ, "EVERTRAIN_HOME": str(self.home)}
        self.environment |= services.environment() if services else {}

    def write(self, drift: str = DRIFT) -> None:
        """Write the pipeline's YAML; all of them read the same file."""
        path = self.folder / "configs" / f"{self.pipeline}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(PIPELINE.format(name=self.pipeline, drift=drift))

    def type(self, line: str) -> tuple[int, dict[str, Any]]:
        """Type a command of evertrain's with ``--json``; gives exit code and answer."""
        process = self.begin(f"evertrain {line} --json")
        return finish(process)

    def begin(self, line: str, **changes: str) -> subprocess.Popen[str]:
        """Type a command that goes on; what it says is kept in a file of its own."""
        program, *rest = shlex.split(line)
        number = len(list(self.folder.glob("said-*")))
        with (self.folder / f"said-{number}").open("w") as said:
            return subprocess.Popen(
                [str(PROGRAMS / program), *rest],
                cwd=self.folder,
                env={**self.environment, **changes},
                stdout=subprocess.PIPE if "--json" in rest else said,
                stderr=said,
                text=True,
                start_new_session=True,
            )

    def kept(self) -> list[Path]:
        """Every file in the folder, the home's too."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def said(self) -> str:
        """All that commands have said so far, their answers in JSON aside."""
        files = sorted(self.folder.glob("said-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        return "".join(path.read_text() for path in files)

    @contextmanager
    def running(self, line: str, **changes: str) -> Iterator[subprocess.Popen[str]]:
        """Have a program run during the block; Ctrl-C ends it."""
        process = self.begin(line, **changes)
        try:
            yield process
        finally:
            interrupt(process, again=line.startswith("prefect "))

    def start_by_form(self, flow: str, **parameters: Any) -> str:
        """Start a run as the form on the deployment's page does; gives its id."""
        deployment = self.services.prefect(f"deployments/name/{flow}/{self.pipeline}")
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.services.prefect(f"deployments/{deployment['id']}/create_flow_run", asked)["id"])

    def flow_runs(self, flow: str = "training") -> list[dict[str, Any]]:
        """The pipeline's runs that Prefect knows of, the newest first."""
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC"}
        found = self.services.prefect("flow_runs/filter", asked)
        return [run for run in found if run["name"].startswith(f"{self.pipeline} ")]

    def served_version(self) -> int | None:
        """Ask the service that was started last; None where it has no champion, or isn't there."""
        [*_, address] = re.findall(r"^serving .*(http://\S+)", self.said(), re.MULTILINE) or [None]
        if address is None:
            return None
        body = json.dumps({"dataframe_records": [{"income": 55.0, "purpose": "car"}]}).encode()
        request = urllib.request.Request(
            f"{address}/models/{self.pipeline}/invocations", body, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return int(reply.headers["x-evertrain-version"])
        except urllib.error.HTTPError as refused:
            refused.close()
        except OSError:
            # The next service hasn't said yet where it is.
            pass
        return None

    def processes(self) -> list[psutil.Process]:
        """What runs for this user's home."""
        return [each for each in psutil.process_iter() if home_of(each) == str(self.home)]


def home_of(process: psutil.Process) -> str | None:
    try:
        return str(process.environ().get("EVERTRAIN_HOME"))
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return None


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Await a command's end; gives exit code and answer."""
    answer, _ = process.communicate(timeout=WAIT_SECONDS)
    return process.returncode, json.loads(answer)


def write_days(path: Path) -> None:
    """Sixty days of loans; from day 40 on incomes are 30 higher."""
    random = np.random.default_rng(5)
    lines = ["day,income,purpose,default"]
    for day in range(60):
        income = random.normal(50, 15, 200) + (30 if day >= 40 else 0)
        purpose = random.choice(["car", "home", "trip"], 200)
        score = (45 - income) / 10 + (purpose == "trip") * 1.5 + random.normal(0, 1, 200)
        date = np.datetime64("2024-01-01T12:00") + np.timedelta64(day, "D")
        rows = zip(income.round(2), purpose, score, strict=True)
        lines += [f"{date},{amount},{what},{'Yes' if value > 0 else 'No'}" for amount, what, value in rows]
    path.write_text("\n".join(lines) + "\n")


def interrupt(process: subprocess.Popen[str], *, again: bool) -> None:
    """Press Ctrl-C; *again* after a minute, as people do: Prefect's worker now and then waits for ever."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    if again:
        try:
            process.wait(SECOND_SIGNAL_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    process.wait(WAIT_SECONDS)


@pytest.fixture(scope="session")
def a_user(tmp_path_factory: pytest.TempPathFactory, services: Any) -> Callable[..., User]:
    """Somebody new, with the pipeline *name*; of the embedded kind unless *on_services*."""

    def make(name: str, drift: str = DRIFT, *, on_services: bool = True) -> User:
        user = User(tmp_path_factory.mktemp(name), services if on_services else None, name)
        write_days(user.folder / "loans.csv")
        user.write(drift)
        return user

    return make


@pytest.fixture(scope="session")
def finish_command() -> Callable[[subprocess.Popen[str]], tuple[int, dict[str, Any]]]:
    """Awaits a command's end; gives exit code and answer."""
    return finish
