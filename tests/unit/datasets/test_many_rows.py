"""Snapshots of many rows: bounded memory, and one digest whatever read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets import ingest, queries
from evertrain.errors import StorageError
from evertrain.storage import LocalStore

ROWS = """
SELECT TIMESTAMP '2024-01-01' + INTERVAL (hash(i) % 2592000) SECOND AS at, 'c' || (hash(i + 1) % 300) AS shop,
    (hash(i + 2) % 100000)::INT AS n, (hash(i + 3) % 1000000) / 1000.0 AS price,
    (hash(i + 4) % 7)::DOUBLE / 3 AS ratio,
    CASE WHEN i % 9 > 0 THEN 'k' || (hash(i + 5) % 50) END AS kind,
    hash(i + 6) % 2 = 0 AS flag, hash(i + 7) % 5 = 0 AS late
FROM range({rows}) t(i)
"""
CHILD = """
import json, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from evertrain.config import PipelineConfig
from evertrain.datasets import ingest, queries
from evertrain.storage import open_store

queries.MEMORY_LIMIT = sys.argv[4]
found = ingest(PipelineConfig.model_validate_json(sys.argv[1]), open_store(sys.argv[2]), as_of=None,
               now=datetime.fromisoformat(sys.argv[3])).snapshot
status = Path("/proc/self/status")
# Of this program alone: getrusage begins with the peak of the process that started it.
peak = (int(status.read_text().split("VmHWM:")[1].split()[0]) if status.exists()
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024
print(json.dumps({"digest": found.digest, "rows": found.rows, "peak_mib": peak}))
"""
NOW = "2025-01-01T00:00:00+00:00"


def write(path, rows, *, where="true", rest=""):
    """Write so many rows, in any order, as Parquet or CSV by the suffix."""
    path.parent.mkdir(exist_ok=True)
    with duckdb.connect(config={"memory_limit": "300MB", "threads": 1}) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"COPY ({ROWS.format(rows=rows)} WHERE {where} {rest}) TO '{path}'")
    return path


def config_for(uri) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "p",
            "data": {
                "source": {"type": "files", "uri": str(uri)},
                "target": "late",
                "timestamp": "at",
                "entity": ["shop"],
            },
            "training": {"estimator": "sklearn.tree.DecisionTreeClassifier"},
            "evaluation": {"task": "binary_classification"},
        }
    )


def ingest_in_child(config, store, *, limit="1GB", **environment) -> dict:
    command = [sys.executable, "-c", CHILD, config.model_dump_json(by_alias=True), str(store), NOW, limit]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env={**os.environ, **environment}
    )
    return json.loads(done.stdout)


def digest_of(uri, store, threads=1, monkeypatch=None) -> str:
    if monkeypatch is not None:
        monkeypatch.setattr(queries, "THREADS", threads)
    found = ingest(
        config_for(uri), LocalStore(store), as_of=None, now=datetime.fromisoformat(NOW).astimezone(UTC)
    )
    return found.snapshot.digest


def test_the_digest_is_that_of_the_rows_whatever_reads_them(tmp_path, monkeypatch):
    """One file or several, in another order, as CSV, with other threads, memory, hash seeds and processes."""
    one = write(tmp_path / "one.parquet", 30_000)
    for place in range(4):
        write(
            tmp_path / "many" / f"{place}.parquet", 30_000, where=f"i % 4 = {place}", rest="ORDER BY hash(i)"
        )
    text = write(tmp_path / "one.csv", 30_000, rest="ORDER BY i DESC")

    digests = {digest_of(uri, tmp_path / "a") for uri in (one, tmp_path / "many" / "*.parquet", text)}
    digests |= {digest_of(one, tmp_path / "b", threads, monkeypatch) for threads in (2, 4)}
    digests |= {
        ingest_in_child(config_for(one), tmp_path / "c", limit=limit, PYTHONHASHSEED=seed)["digest"]
        for seed, limit in (("1", "1GB"), ("2", "100MB"))
    }

    assert len(digests) == 1


def test_the_cut_is_the_same_in_narrow_and_wide_stretches(tmp_path, monkeypatch):
    """Where the newest fifth begins doesn't depend on how it is searched."""
    from evertrain.datasets import splits

    one = write(tmp_path / "one.parquet", 5_000)
    found = set()
    for stretches in (1, 7, 10_000, 10**9):
        monkeypatch.setattr(splits, "STRETCHES", stretches)
        found.add(digest_of(one, tmp_path / "a"))

    assert len(found) == 1


def test_memory_does_not_grow_with_rows(tmp_path):
    """Several times what DuckDB may hold: what doesn't fit is spilled, and nothing stays."""
    source = write(tmp_path / "rows.parquet", 1_500_000)
    home = tmp_path / "home"

    found = ingest_in_child(config_for(source), tmp_path / "s", limit="120MB", EVERTRAIN_HOME=str(home))

    assert found["rows"] == 1_500_000
    assert found["peak_mib"] < 500
    assert list((home / "spill").iterdir()) == []


def test_no_room_to_spill_to_is_told(tmp_path, monkeypatch):
    """As a full disk, not as a fault of the query or of ours."""
    source = write(tmp_path / "rows.parquet", 300_000)
    settings = queries._settings
    monkeypatch.setattr(queries, "MEMORY_LIMIT", "20MB")
    monkeypatch.setattr(
        queries, "_settings", lambda *given: {**settings(*given), "max_temp_directory_size": "1MB"}
    )

    with pytest.raises(StorageError, match=r"There is no room for the rows beside 20MB.*EVERTRAIN_HOME"):
        digest_of(source, tmp_path / "s")
