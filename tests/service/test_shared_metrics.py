"""Metrics of several workers: each counts for itself, and any of them tells the sum."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKER = """
import sys
import numpy as np
from evertrain.bundle_files import Golden
from evertrain.bundles import Bundle
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from serving.fleet import Fleet, Served
from serving.metrics import KEPT_VERSIONS, ServiceMetrics
from serving.recorder import KeepsNothing, LogCounts, LogState

class Counting(KeepsNothing):
    def counts(self):
        return LogState({"flights": LogCounts(logged=5, dropped=1)}, waiting_bytes=900)

signature = Signature(
    task="binary_classification",
    target="late",
    features=(Feature(name="carrier", kind="categorical", type="string"),),
    classes=(False, True),
)
bundle = Bundle(
    digest="d" * 64,
    runtime="onnx",
    signature=signature,
    golden=Golden(columns={}, tolerance=0.0),
    statistics={"carrier": {"categories": ["UA"]}},
    provenance={},
    size_bytes=0,
    run=lambda _: Prediction(codes=np.array([1])),
)
fleet = Fleet()
metrics = ServiceMetrics(fleet, Counting())
for version in range(1, KEPT_VERSIONS + 3):
    served = Served("flights", version, version, bundle)
    fleet.put(served)
    metrics.count("flights", 200, 0.001, version=str(version), arm="stable")
    metrics.observe_rows(served, "stable", {"carrier": ["ZZ"]}, Prediction(codes=np.array([1])))
sys.stdout.write(metrics.render().decode())
"""


@pytest.fixture
def work(tmp_path):
    """Run a worker to its end; gives what it tells of a metric, by the rest of the line."""

    def run(name):
        variables = {"PYTHONPATH": str(ROOT), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        words = [sys.executable, "-W", "error", "-c", WORKER]
        done = subprocess.run(
            words, env=os.environ | variables, check=True, capture_output=True, text=True, timeout=120
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith(name) and line[0] != "#"]
        return {line.rsplit(" ", 1)[0].removeprefix(name): float(line.rsplit(" ", 1)[1]) for line in lines}

    return run


def test_rows_of_all_workers_add_up(work):
    """What one worker counted is part of what the next one tells; many versions raise no warning."""
    name = "evertrain_unseen_categories_total"
    one = work(name)
    two = work(name)

    assert list(one.values()) == [10.0]
    assert two == {labels: 2 * value for labels, value in one.items()}


def test_the_log_of_all_workers_adds_up(work):
    """Each worker has a log of its own; the disk that they share is told once."""
    work("")
    told = work("evertrain_log_")

    rows = {labels: value for labels, value in told.items() if labels.startswith("rows_total")}
    assert sorted(rows.values()) == [0.0, 2.0, 10.0]
    assert told["waiting_bytes"] == 900
