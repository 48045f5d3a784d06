"""The whole loop with its object store on a real S3 server: train, check, retrain, serve, swap, roll back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.xdist_group("s3")]
PIPELINE = """\
name: loans
data:
  source: {type: files, uri: loans.csv}
  timestamp: day
  target: default
  features: {numeric: [income], categorical: [purpose]}
  window: {train: 20d, holdout: 10d}
training: {estimator: sklearn.tree.DecisionTreeClassifier, params: {max_depth: 1}}
evaluation:
  task: binary_classification
  gates: [{type: threshold, metric: roc_auc, min: 0.5}]
drift: {current: {from: source, window: 5d, min_rows: 50}}
"""
ROW = {"dataframe_records": [{"income": 55.0, "purpose": "car"}]}


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


class Laptop:
    """A folder with the pipeline and a home, its store on S3; types commands as a user would."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "EVERTRAIN_HOME": str(folder / "home"), "EVERTRAIN_STORE": store}

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Type a command with ``--json``; gives exit code and answer."""
        done = subprocess.run(
            [sys.executable, "-m", "evertrain.cli", *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return done.returncode, json.loads(done.stdout)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve all pipelines of the store while the block runs; gives the address."""
        with subprocess.Popen(
            [sys.executable, "-m", "evertrain.cli", "serve", "--port", "0"],
            cwd=self.folder,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr is not None
                line = next(text for text in process.stderr if text.startswith("serving "))
                yield re.findall(r"http://\S+", line)[0]
            finally:
                process.terminate()
            assert process.wait(20) == 0


@pytest.fixture
def laptop(s3_bucket: str, tmp_path: Path) -> Laptop:
    (tmp_path / "loans.yaml").write_text(PIPELINE)
    write_days(tmp_path / "loans.csv")
    return Laptop(tmp_path, f"s3://{s3_bucket}/team/evertrain")


def version_served(address: str) -> int:
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(ROW).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert json.loads(reply.read())["predictions"] in (["Yes"], ["No"])
        return int(reply.headers["x-evertrain-version"])


def wait_for_version(address: str, version: int) -> None:
    deadline = time.monotonic() + 60
    while version_served(address) != version:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_loop_needs_nothing_of_its_store_but_an_address(laptop: Laptop, s3_server: Any) -> None:
    """Train, serve, check, retrain, swap, roll back; the store on S3 by one setting, its key in no file."""
    code, first = laptop.run("train", "loans.yaml", "--as-of", "2024-01-31")
    assert (code, first["decision"], first["version"]) == (0, "promoted", 1)
    assert laptop.run("train", "loans.yaml", "--as-of", "2024-01-31") == (0, {**first, "cached": True})

    with laptop.serving() as address:
        assert version_served(address) == 1
        code, check = laptop.run("drift", "loans.yaml", "--as-of", "2024-02-20")
        assert (code, check["decision"], check["retrain"]) == (0, "drifted", "started")
        assert check["train"]["decision"] == "promoted"
        wait_for_version(address, 2)
        assert laptop.run("rollback", "loans")[0] == 0
        wait_for_version(address, 1)

    code, verdict = laptop.run("audit", "verify", "loans")
    assert code == 0, verdict
    home = laptop.folder / "home"
    assert not (home / "store").exists()
    secret = s3_server.secret_key.encode()
    assert not [path for path in home.rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_a_store_that_does_not_answer_is_told_in_bounded_time(laptop: Laptop) -> None:
    """Exit 5 that names AWS_ENDPOINT_URL, and no traceback."""
    laptop.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    code, said = laptop.run("train", "loans.yaml")
    assert code == 5
    assert "AWS_ENDPOINT_URL" in said["error"]["message"]
