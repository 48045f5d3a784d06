"""Owns the proof G10: the same bundles, rows and seed give the same verdict, bit by bit, in any process.

``python benchmarks/full/G10.py --record FOLDER`` prints the judgement of the pair that lies in FOLDER.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from resumable import prove

from evertrain.bundles import load_bundle
from evertrain.config import PipelineConfig
from evertrain.datasets import ingest, read_side, to_columns
from evertrain.evaluation import evaluate, judge
from evertrain.packaging import package
from evertrain.records import GateEvidence, Judgement, Latency
from evertrain.settings import read_settings
from evertrain.storage import open_store
from evertrain.training import train

CLAIM = (
    "one judgement (metrics, gains, slices, verdicts; the measured latency given) is equal byte by byte in "
    "every process, whatever its hash seed and its number of threads"
)
ROWS = 2_000
LATENCY = Latency(calls=1_000, p50_ms=0.1, p99_ms=0.2)
"""Stands for a measurement: it is an input of the verdict, kept beside it, and never measured anew."""


def make_config(folder: Path, leaves: int) -> PipelineConfig:
    """Configure a boosted model with *leaves* leaves, all six gates, and slices by text and by number."""
    gates = [
        {"type": "threshold", "metric": "accuracy", "min": 0.5},
        {"type": "beats_champion", "metric": "roc_auc"},
        {"type": "beats_champion", "metric": "accuracy"},
        {"type": "not_worse", "metric": "log_loss"},
        {"type": "slices", "metric": "roc_auc", "min_rows": 50},
        {"type": "latency", "p99_ms": 20},
        {"type": "signature"},
    ]
    source = {"type": "files", "uri": str(folder / "rows.csv")}
    params = {"max_iter": 20, "max_leaf_nodes": leaves}
    return PipelineConfig.model_validate(
        {
            "name": "replay",
            "data": {"source": source, "target": "late"},
            "training": {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": params},
            "evaluation": {"task": "binary_classification", "slices": ["place", "x"], "gates": gates},
        }
    )


def make_pair(folder: Path) -> None:
    """Write rows into *folder*, and train and package a challenger and a champion there."""
    rng = np.random.default_rng(10)
    x, place = rng.normal(size=ROWS), rng.choice(["north", "south", "é"], ROWS)
    late = x + (place == "south") + rng.normal(size=ROWS) > 0.5
    rows = zip(x, place, late, strict=True)
    lines = [f"{number:.6f},{where},{str(label).lower()}" for number, where, label in rows]
    (folder / "rows.csv").write_text("\n".join(["x,place,late", *lines]) + "\n", encoding="utf-8")
    store = open_store(str(folder / "store"))
    for name, leaves in (("challenger", 12), ("champion", 3)):
        config = make_config(folder, leaves)
        ingested = ingest(config, store, as_of=None, now=datetime(2026, 1, 1, tzinfo=UTC))
        trained = train(config, ingested, store, read_settings({}))
        ref = package(config, ingested, trained, store, {})
        (folder / f"{name}.txt").write_text(ref.digest)
        (folder / "ingested.json").write_text(ingested.model_dump_json())


def record(folder: Path) -> str:
    """Judge the pair in *folder* and spell the judgement."""
    from evertrain.datasets import Ingested

    store = open_store(str(folder / "store"))
    config = make_config(folder, 12)
    ingested = Ingested.model_validate_json((folder / "ingested.json").read_text())
    challenger, champion = (
        load_bundle(store, (folder / f"{name}.txt").read_text()) for name in ("challenger", "champion")
    )
    table = read_side(store, ingested.snapshot, "holdout", target="late")
    columns = to_columns(table, table.column_names)
    found = evaluate(
        config, challenger, (1, champion), columns, columns["late"], ingested.classes, seed=3, look=2
    )
    evidence = GateEvidence(
        evaluation=found,
        latency=LATENCY,
        signature=challenger.signature,
        champion_signature=champion.signature,
    )
    return Judgement(
        generation=1, evaluation=found, gates=judge(config, evidence), latency=LATENCY, holdout="0" * 64
    ).model_dump_json()


def record_elsewhere(folder: Path, hash_seed: int, threads: int) -> str:
    """Spell the judgement in a process of its own."""
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {**os.environ, "PYTHONHASHSEED": str(hash_seed), **dict.fromkeys(counts, str(threads))}
    root = str(Path(__file__).parents[2])
    command = [sys.executable, __file__, "--record", str(folder)]
    return subprocess.run(
        command, env={**env, "PYTHONPATH": root}, capture_output=True, text=True, check=True
    ).stdout


def main() -> None:
    """Judge one pair in many processes."""
    with tempfile.TemporaryDirectory(prefix="evertrain-G10-") as name:
        folder = Path(name)
        make_pair(folder)
        expected = record(folder)

        def trial(number: int) -> dict[str, int]:
            told = record_elsewhere(folder, hash_seed=number, threads=1 + number % 4)
            return {"different": int(told != expected)}

        prove("G10", CLAIM, trial, lambda totals, _: (totals["different"], {}), n=40)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        sys.stdout.write(record(Path(sys.argv[2])))
    else:
        main()
