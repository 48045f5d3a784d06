"""Owns the snapshots' figures: the memory and time that ingesting many rows takes, Parquet to snapshot.

``python benchmarks/snapshots.py [ROWS …]`` (default 1,000,000 and 5,000,000; the claim is about 50,000,000,
which need 16 GB of disk) writes ``benchmarks/results/snapshots.json``. Each size is a process of its own; all
that it writes lies in one temporary folder, which is removed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measuring.tables import spell_table, write_section

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "snapshots.json"
LIMIT_MIB = 2048
DISK_BYTES_PER_ROW = 340
ROWS = """
SELECT TIMESTAMP '2024-01-01' + INTERVAL (hash(i) % 15552000) SECOND AS at,
    'c' || (hash(i + 1) % 1000) AS shop, (hash(i + 2) % 100000)::INT AS n,
    (hash(i + 3) % 1000000) / 1000.0 AS price, (hash(i + 4) % 7)::DOUBLE / 3 AS ratio,
    'k' || (hash(i + 5) % 50) AS kind, hash(i + 6) % 2 = 0 AS flag, hash(i + 7) % 5 = 0 AS late
FROM range({rows}) t(i)
"""
INGEST = """
import json, resource, sys, time
from datetime import UTC, datetime
from evertrain.config import PipelineConfig
from evertrain.datasets import ingest
from evertrain.storage import open_store

config = PipelineConfig.model_validate({
    "name": "rows",
    "data": {"source": {"type": "files", "uri": sys.argv[1]}, "target": "late", "timestamp": "at",
             "entity": ["shop"]},
    "training": {"estimator": "sklearn.tree.DecisionTreeClassifier"},
    "evaluation": {"task": "binary_classification"},
})
started = time.perf_counter()
found = ingest(config, open_store(sys.argv[2]), as_of=None, now=datetime.now(UTC)).snapshot
print(json.dumps({
    "rows": found.rows, "parts": len(found.parts), "digest": found.digest,
    "seconds": round(time.perf_counter() - started, 1),
    "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def main() -> None:
    """Measure, print and keep the figures; fails where a process takes more than 2 GiB."""
    sizes = [int(word.replace("_", "")) for word in sys.argv[1:]] or [1_000_000, 5_000_000]
    load = os.getloadavg()[0]
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "load_1m": round(load, 2), "system": platform.system()},
        "columns": 8,
        "sizes": [measure(rows) for rows in sizes],
    }
    text = json.dumps(figures, indent=2) + "\n"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)
    write_section("snapshots", spell_section(figures))
    sys.stdout.write(text)
    if any(size["peak_memory_mib"] >= LIMIT_MIB for size in figures["sizes"]):
        raise SystemExit(f"A process took {LIMIT_MIB} MiB or more.")


def spell_section(figures: dict[str, Any]) -> str:
    """Spell the README's part from the result file."""
    rows = [
        (
            f"{size['rows']:,}",
            size["seconds"],
            f"{size['peak_memory_mib']:,}",
            f"{size['source_mib']:,}",
            f"{size['peak_disk_mib']:,}",
        )
        for size in figures["sizes"]
    ]
    head = ("rows", "seconds", "peak memory, MiB", "source, MiB", "disk at its peak, MiB")
    machine = figures["machine"]
    return (
        f"`python benchmarks/snapshots.py ROWS…`, {figures['date']}, {machine['cpus']} cores, load "
        f"{machine['load_1m']}; {figures['columns']} columns. The goal is under 2,048 MiB at 50 million "
        f"rows.\n\n{spell_table(head, rows)}"
    )


def measure(rows: int) -> dict[str, int | float | str]:
    """Write so many rows as Parquet, ingest them in a child, and watch the disk beside it."""
    with tempfile.TemporaryDirectory(prefix="evertrain-bench-") as name:
        folder = Path(name)
        free = shutil.disk_usage(folder).free
        if free < rows * DISK_BYTES_PER_ROW:
            raise SystemExit(
                f"{rows:,} rows need {rows * DISK_BYTES_PER_ROW >> 20} MiB in {folder}; set TMPDIR."
            )
        write_rows(folder / "rows.parquet", rows)
        source_bytes = size_of(folder)
        found, peak_bytes = ingest_watched(folder)
    return {
        **found,
        "source_mib": source_bytes >> 20,
        "peak_disk_mib": (peak_bytes - source_bytes) >> 20,
        "rows_per_second": round(rows / found["seconds"]),
    }


def write_rows(path: Path, rows: int) -> None:
    """Write the rows, a process of little memory too."""
    import duckdb

    with duckdb.connect(config={"memory_limit": "500MB", "threads": 1}) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"COPY ({ROWS.format(rows=rows)}) TO '{path}'")


def ingest_watched(folder: Path) -> tuple[dict[str, int | float | str], int]:
    """Ingest in a child; gives what it says, and the most bytes that *folder* held meanwhile."""
    command = [sys.executable, "-c", INGEST, str(folder / "rows.parquet"), str(folder / "store")]
    done = threading.Event()
    sizes = [0]

    def watch() -> None:
        while not done.wait(0.5):
            sizes.append(size_of(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "EVERTRAIN_HOME": str(folder / "home")},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    finally:
        done.set()
        watcher.join()
    return json.loads(answer.stdout), max(sizes)


def size_of(folder: Path) -> int:
    """The bytes of all files below *folder*; one that goes meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


if __name__ == "__main__":
    main()
