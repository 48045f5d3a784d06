"""Owns the proof G9: one held-out row that is learnt from too is found, wherever it stands, in a moment."""

from __future__ import annotations

import hashlib
import tempfile
import time
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from resumable import prove

from evertrain.datasets.leakage import count_common_rows
from evertrain.records import Part, Snapshot
from evertrain.storage import Store, open_store

CLAIM = (
    "of 100,000 rows, 13 columns, one stands on both sides of the split: it is counted, and nothing else, in "
    "all trials, with a timestamp and without; where none does, none is; in a second of processor time"
)
LEARNT, HELD_OUT = 80_000, 20_000


def make_rows(rng: np.random.Generator, rows: int) -> pa.Table:
    """Draw rows of all kinds of columns, with gaps, a few of them alike in all but their numbers."""
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


def keep(store: Store, **sides: pa.Table) -> Snapshot:
    """Write both sides as a snapshot, past the split that would part them rightly."""
    parts = []
    for side, table in sides.items():
        sink = BytesIO()
        pq.write_table(table, sink)
        key = f"snapshots/parts/{hashlib.sha256(sink.getvalue()).hexdigest()}.parquet"
        store.put_if_absent(key, sink.getvalue())
        parts.append(Part(side=side, key=key, rows=table.num_rows))
    counted = {f"{side}_rows": table.num_rows for side, table in sides.items()}
    facts = {"digest": "9" * 64, "rows": sum(counted.values()), "unlabelled": 0, "columns": ()}
    return Snapshot(parts=tuple(parts), **facts, **counted)


def trial(seed: int) -> dict[str, int]:
    """Plant one row of the learnt among the held-out, and look for it; look where there is none."""
    rng = np.random.default_rng([9, seed])
    rows = make_rows(rng, LEARNT + HELD_OUT)
    learnt, held_out = rows.slice(0, LEARNT), rows.slice(LEARNT)
    leak = learnt.slice(int(rng.integers(LEARNT)), 1)
    place = int(rng.integers(HELD_OUT))
    planted = pa.concat_tables([held_out.slice(0, place), leak, held_out.slice(place)])
    timestamp = (None, "when")[seed % 2]
    with tempfile.TemporaryDirectory(prefix="evertrain-G9-") as folder:
        store = open_store(folder)
        clean, leaking = (keep(store, train=learnt, holdout=side) for side in (held_out, planted))
        began = time.process_time()
        found = count_common_rows(store, leaking, target="late", timestamp=timestamp)
        milliseconds = round((time.process_time() - began) * 1000)
        return {
            "missed": int(found != 1),
            "false_alarms": count_common_rows(store, clean, target="late", timestamp=timestamp),
            "over_a_second": int(milliseconds > 1000),
            "milliseconds": milliseconds,
        }


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Nothing may be missed, nothing told that isn't there, and nothing take long."""
    broken = sum(totals[name] > 0 for name in ("missed", "false_alarms", "over_a_second"))
    return broken, {"missed_share": totals["missed"] / n, "mean_seconds": totals["milliseconds"] / n / 1000}


if __name__ == "__main__":
    prove("G9", CLAIM, trial, judge, n=300)
