"""Owns drift's figures: our check (scores, Evidently's Snapshot, both pages) beside Evidently's own preset.

``python benchmarks/drift.py [ROWS COLUMNS [--both]]`` writes ``benchmarks/results/drift.json``, a row a size;
without arguments 100,000 × 50. Evidently's side takes minutes at 1,000,000 × 50: there it runs with
``--both`` alone, otherwise the last figure that was measured is kept. Each side is a whole process that
reads Parquet; imports are timed apart. On a busy machine believe the CPU seconds.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from measuring.tables import spell_table, write_section

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "drift.json"
OURS, PRESET = "evertrain", "Evidently's DataDriftPreset"
LONG = 20_000_000
START = datetime(2013, 1, 1, tzinfo=UTC)


def main() -> None:
    """Measure one size, print and keep the figures; or be one of the processes it is made of."""
    arguments = [each for each in sys.argv[1:] if each != "--both"]
    if arguments and arguments[0] in SIDES:
        SIDES[arguments[0]](Path(arguments[1]), *map(int, arguments[2:]))
        return
    rows, columns = (int(each) for each in arguments) if arguments else (100_000, 50)
    size = f"{rows:,} × {columns}"
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"sizes": {}}
    figures: dict[str, Any] = kept["sizes"].get(size, {})
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as folder:
        # Apart, since a process begins with its parent's peak memory.
        subprocess.run([sys.executable, __file__, "data", folder, str(rows), str(columns)], check=True)
        figures[OURS] = measure("ours", folder)
        if rows * columns < LONG or "--both" in sys.argv:
            figures[PRESET] = measure("preset", folder)
    if PRESET in figures:
        ours, theirs = figures[OURS], figures[PRESET]
        compared = ("check_seconds", "check_cpu_seconds", "peak_above_data_mib")
        figures["ratios"] = {name: round(ours[name] / theirs[name], 3) for name in compared}
    kept |= {
        "commit": ask_git("rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cpus": os.cpu_count(),
            "load_1m": round(os.getloadavg()[0], 2),
            "system": platform.system(),
        },
    }
    kept["sizes"][size] = figures
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    write_section("drift", spell_section(kept))
    print(json.dumps({size: figures}, indent=2, ensure_ascii=False))


def spell_section(figures: dict[str, Any]) -> str:
    """Spell the README's part from the result file."""
    rows = []
    for size, sides in figures["sizes"].items():
        ratios = sides.get("ratios", {})
        told = [ratios.get(name, "") for name in ("check_seconds", "check_cpu_seconds")]
        for side in (PRESET, OURS):
            if side in sides:
                found = sides[side]
                page = f"{found['page_kib']:,.0f}"
                above = f"{found['peak_above_data_mib']:,.0f}"
                rows.append(
                    (size, side, found["check_seconds"], page, above, *(told if side == OURS else ("", "")))
                )
    head = (
        "rows × columns",
        "side",
        "seconds",
        "page, KiB",
        "MiB above the data",
        "÷ preset",
        "÷ preset, CPU",
    )
    machine = figures["machine"]
    return (
        f"`python benchmarks/drift.py [ROWS COLUMNS --both]`, commit {figures['commit']}, {figures['date']}, "
        f"{machine['cpus']} cores, load {machine['load_1m']}; the goals are at most 0.27 at 100,000 "
        f"rows and 0.06 at a million, wall.\n\n{spell_table(head, rows)}"
    )


def make_data(folder: Path, rows: int, columns: int) -> None:
    """Write both sides as Parquet, the reference also as a snapshot: four fifths numbers, a fifth text."""
    import pyarrow.parquet as pq

    from evertrain.datasets.snapshots import Slice, write_manifest, write_parts
    from evertrain.records import Column, Snapshot
    from evertrain.storage import LocalStore

    store = LocalStore(folder / "store")
    for seed, name in enumerate(("reference", "current")):
        table = make_side(rows, columns, seed)
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=100_000)
        if name == "reference":
            hashed = table.append_column("hash", [[""] * rows])
            kinds = {"double": "float", "string": "string"}
            listed = tuple(
                Column(name=each.name, type=kinds.get(str(each.type), "timestamp")) for each in table.schema
            )
            cut = [Slice("train", min(200_000, rows - start)) for start in range(0, rows, 200_000)]
            written = write_parts(store, listed, hashed.to_reader(), cut)
            snapshot = Snapshot(
                digest=written.digest,
                rows=rows,
                unlabelled=0,
                train_rows=rows,
                holdout_rows=0,
                columns=listed,
                parts=written.parts,
            )
            write_manifest(store, snapshot)
            (folder / "digest").write_text(snapshot.digest)


def make_side(rows: int, columns: int, seed: int) -> Any:
    """Make one side; every fifth column moves by a quarter of its spread."""
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "when": np.datetime64(START.replace(tzinfo=None), "us") + np.arange(rows),
        "target": rng.normal(size=rows),
    }
    for place in range(columns):
        moved = seed * 0.25 * (place % 5 == 0)
        if place % 5 == 4:
            shares = np.linspace(1, 3, 20) / np.linspace(1, 3, 20).sum()
            made[f"c{place}"] = np.array([f"level {n}" for n in range(20)])[rng.choice(20, rows, p=shares)]
        else:
            made[f"n{place}"] = rng.normal(moved, 1, rows)
    return pa.table(made)


def run_ours(folder: Path) -> None:
    """Open both sides as a check does, score them, let Evidently tell it, and write both pages."""
    started = time.perf_counter()
    import duckdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from evertrain.datasets import read_manifest
    from evertrain.datasets.current import open_current, reference_rows
    from evertrain.drift import evidently_snapshot, measure_drift
    from evertrain.quiet import quiet
    from evertrain.reports.drift_report import render_drift
    from evertrain.storage import LocalStore

    with quiet():
        import evidently.metrics  # noqa: F401
        import jinja2  # noqa: F401
    imported = time.perf_counter()
    base = peak_mib()
    store = LocalStore(folder / "store")
    snapshot = read_manifest(store, (folder / "digest").read_text())
    # The curves are part of the bundle: what makes them is training, not the check.
    begun = time.process_time()
    config, plan = plan_check(folder, snapshot, reference_rows(store, snapshot))
    planned = time.process_time() - begun
    reference = reference_rows(store, snapshot)
    with open_current(config, as_of=START + timedelta(days=1), now=START + timedelta(days=1)) as current:
        opened, worked, held = time.perf_counter(), time.process_time(), peak_mib()
        measured = measure_drift(plan, reference, current, max_share=0.3)
        scored, scored_mib = time.perf_counter(), peak_mib()
        report = evidently_snapshot(plan, measured, reference, current, seed=0)
        told = time.perf_counter()
    assert report is not None
    page = render_drift(config, summarise(measured), evidently="evidently.html")
    (folder / "ours.html").write_text(page, "utf-8")
    (folder / "evidently.html").write_bytes(report.html)
    ended = time.perf_counter()
    tell(
        import_seconds=imported - started,
        open_seconds=opened - imported,
        plan_cpu_seconds=planned,
        score_seconds=scored - opened,
        snapshot_seconds=told - scored,
        check_seconds=ended - opened,
        check_cpu_seconds=time.process_time() - worked,
        peak_mib=peak_mib(),
        peak_above_imports_mib=peak_mib() - base,
        peak_above_data_mib=peak_mib() - held,
        peak_above_data_scoring_mib=scored_mib - held,
        page_kib=len(page) / 1024,
        drifted=sum(column.drifted for column in measured.columns),
    )


def plan_check(folder: Path, snapshot: Any, reference: Any) -> tuple[Any, Any]:
    """Describe the pipeline whose current rows lie in *folder*, and how drift from *reference* is told."""
    from evertrain.config import PipelineConfig
    from evertrain.drift import plan_drift
    from evertrain.records import Feature

    config = PipelineConfig.model_validate(
        {
            "name": "bench",
            "data": {
                "source": {"type": "files", "uri": str(folder / "current.parquet")},
                "target": "target",
                "timestamp": "when",
            },
            "training": {"estimator": "sklearn.linear_model.Ridge"},
            "evaluation": {"task": "regression"},
        }
    )
    plan = plan_drift(
        [
            Feature(
                name=each.name, kind="categorical" if each.type == "string" else "numeric", type=each.type
            )
            for each in snapshot.columns
            if each.name not in ("when", "target")
        ],
        reference,
    )
    return config, plan


def summarise(measured: Any) -> Any:
    """Make of what was measured the outcome that a page tells."""
    from evertrain.drift_records import CheckedRows, DriftOutcome

    return DriftOutcome(
        pipeline="bench",
        decision="drifted" if measured.drifted else "steady",
        why="a benchmark",
        champion=1,
        as_of=START,
        share=measured.share,
        max_share=0.3,
        columns=measured.columns,
        rows=CheckedRows(reference=measured.rows_reference, current=measured.rows_current),
    )


def run_preset(folder: Path) -> None:
    """Run Evidently's preset on frames, as its documentation does, and write its page."""
    started = time.perf_counter()
    os.environ["DO_NOT_TRACK"] = "1"
    import warnings

    warnings.simplefilter("ignore")
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    imported = time.perf_counter()
    base = peak_mib()
    frames = [
        pd.read_parquet(folder / f"{name}.parquet").drop(columns=["when", "target"])
        for name in ("current", "reference")
    ]
    opened, worked, held = time.perf_counter(), time.process_time(), peak_mib()
    numeric = [name for name in frames[0] if name.startswith("n")]
    definition = DataDefinition(
        numerical_columns=numeric, categorical_columns=[name for name in frames[0] if name not in numeric]
    )
    sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
    snapshot = Report([DataDriftPreset()]).run(*sides)
    snapshot.save_html(str(folder / "preset.html"))
    ended = time.perf_counter()
    tell(
        import_seconds=imported - started,
        open_seconds=opened - imported,
        check_seconds=ended - opened,
        check_cpu_seconds=time.process_time() - worked,
        peak_mib=peak_mib(),
        peak_above_imports_mib=peak_mib() - base,
        peak_above_data_mib=peak_mib() - held,
        page_kib=(folder / "preset.html").stat().st_size / 1024,
        drifted=int(snapshot.dict()["metrics"][0]["value"]["count"]),
    )


def tell(**figures: float) -> None:
    """Print what was measured, for the process that asked."""
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


def peak_mib() -> float:
    """This process's peak memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(side: str, folder: str) -> dict[str, float]:
    """Run one side as a process of its own, on one thread a library."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, side, folder]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return figures


def ask_git(*arguments: str) -> str:
    """Ask git about this checkout."""
    ran = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


SIDES: dict[str, Callable[..., None]] = {"data": make_data, "ours": run_ours, "preset": run_preset}

if __name__ == "__main__":
    main()
