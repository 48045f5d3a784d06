from __future__ import annotations

import hashlib
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.datasets.leakage import count_common_rows
from evertrain.records import Part, Snapshot
from evertrain.storage import Store, open_store

ROWS = 100_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def snapshot_of(store: Store, learnt: pa.Table, held_out: pa.Table) -> Snapshot:
    parts = []
    for side, table in (("train", learnt), ("holdout", held_out)):
        sink = BytesIO()
        pq.write_table(table, sink)
        key = f"snapshots/parts/{hashlib.sha256(sink.getvalue()).hexdigest()}.parquet"
        store.put_if_absent(key, sink.getvalue())
        parts.append(Part(side=side, key=key, rows=table.num_rows))
    rows = learnt.num_rows + held_out.num_rows
    return Snapshot(
        digest="a" * 64,
        rows=rows,
        unlabelled=0,
        train_rows=learnt.num_rows,
        holdout_rows=held_out.num_rows,
        columns=(),
        parts=tuple(parts),
    )


def flights(rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "when": pa.array(np.datetime64("2013-01-01T00:00", "us") + np.arange(rows) // 7),
            "carrier": pa.array(rng.choice(["AA", "UA", None], rows)),
            "flight": pa.array(rng.integers(0, 50, rows)),
            "distance": pa.array(rng.choice([100.0, 200.0, np.nan], rows)),
            "late": pa.array(rng.integers(0, 2, rows) == 1),
            **{f"number {place}": pa.array(rng.normal(size=rows)) for place in range(8)},
        }
    )


@pytest.mark.parametrize("timestamp", ["when", None])
@pytest.mark.parametrize("row", [0, 41_234, 79_999])
def test_one_planted_row_in_a_hundred_thousand_is_found(
    store: Store, timestamp: str | None, row: int
) -> None:
    """A single row on both sides is found, wherever it stands, and nothing else; within moments."""
    table = flights(ROWS)
    learnt, held_out = table.slice(0, 80_000), table.slice(80_000)
    planted = pa.concat_tables([held_out, learnt.slice(row, 1)])
    clean, leaking = (snapshot_of(store, learnt, side) for side in (held_out, planted))
    began = time.perf_counter()
    assert count_common_rows(store, leaking, target="late", timestamp=timestamp) == 1
    assert time.perf_counter() - began < 10
    assert count_common_rows(store, clean, target="late", timestamp=timestamp) == 0


def test_rows_alike_in_all_but_time_are_no_leak(store: Store) -> None:
    """The same flight on another day is another row."""
    table = flights(500)
    later = table.set_column(0, "when", pa.array(table["when"].to_numpy() + np.timedelta64(400, "D")))
    assert count_common_rows(store, snapshot_of(store, table, later), target="late", timestamp=None) == 0


def test_missing_values_are_equal_and_lists_are_passed_over(store: Store) -> None:
    """Null equals null and NaN equals NaN; each held-out copy counts; columns of lists aren't compared."""
    table = pa.table(
        {
            "text": pa.array([None, "a", None]),
            "number": pa.array([np.nan, 1.0, 2.0]),
            "list": pa.array([[1], [2], [3]]),
            "late": pa.array([True, False, None]),
        }
    )
    other = pa.table(
        {**{name: table[name] for name in table.column_names}, "list": pa.array([[9], [9], [9]])}
    )
    snapshot = snapshot_of(store, table, pa.concat_tables([other, other]))
    # The unlabelled row is on both sides too, and neither learnt from nor judged on.
    assert count_common_rows(store, snapshot, target="late", timestamp=None) == 4
