"""Owns the proof D11: whatever frames a check is given, each column has a finite score or a reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from resumable import prove

from evertrain.datasets.stored_rows import rows_of_table
from evertrain.drift import measure_drift, plan_drift
from evertrain.drift_records import DriftMeasured
from evertrain.records import Feature

CLAIM = (
    "10,000 pairs of random frames (empty, one row, constant, without any value, infinite, huge, "
    "lists, texts where numbers were, columns gone and new categories), their curves made from the "
    "first of each: no check raises, each column has a finite score or a reason, and what was measured "
    "survives JSON"
)
FRAMES, SIZES, COLUMNS = 100, (0, 1, 2, 7, 60, 400), 5
KINDS = ("numeric", "categorical", "datetime")
TYPES = ("integer", "float", "boolean", "string", "date", "timestamp", "other")
Draw = Callable[[np.random.Generator, int], pa.Array]


def _numbers(rng: np.random.Generator, rows: int) -> pa.Array:
    spread = rng.choice([0.0, 1e-300, 1.0, 1e298])
    return pa.array(rng.normal(rng.choice([0.0, 1e9]), 1, rows) * spread)


def _strange_numbers(rng: np.random.Generator, rows: int) -> pa.Array:
    strange = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.7e308, 5e-324, None]
    return pa.array([strange[place] for place in rng.integers(0, len(strange), rows)], pa.float64())


def _integers(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.array(rng.integers(-(2**63), 2**63 - 1, rows))


def _texts(rng: np.random.Generator, rows: int) -> pa.Array:
    words = ["", "a", "nan", "None", "1", "1.0", "é", "\x00", None, *map(str, rng.integers(0, 10**6, 4))]
    return pa.array([words[place] for place in rng.integers(0, len(words), rows)], pa.string())


def _times(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.array(rng.integers(-(2**55), 2**55, rows), pa.timestamp("us"))


def _dates(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.array(rng.integers(-700_000, 2_000_000, rows), pa.int32()).cast(pa.date32())


VALUES: tuple[Draw, ...] = (
    _numbers,
    _strange_numbers,
    _integers,
    _texts,
    _times,
    _dates,
    lambda rng, rows: pa.array(rng.random(rows) < 0.5),
    lambda rng, rows: pa.array([float(rng.normal())] * rows, pa.float64()),
    lambda _, rows: pa.nulls(rows),
    lambda _, rows: pa.nulls(rows, pa.float64()),
    lambda rng, rows: pa.array([[int(rng.integers(9))] for _ in range(rows)], pa.list_(pa.int64())),
)


def trial(seed: int) -> dict[str, int]:
    """Hold a hundred frames against a hundred others."""
    rng = np.random.default_rng([11, seed])
    counts = {"frames": FRAMES, "raised": 0, "columns": 0, "without_score_or_reason": 0, "changed_by_json": 0}
    for _ in range(FRAMES):
        draws = [VALUES[place] for place in rng.integers(0, len(VALUES), rng.integers(1, COLUMNS + 1))]
        reference = make_frame(rng, draws)
        current = make_frame(
            rng, [draw if rng.random() < 0.7 else VALUES[rng.integers(len(VALUES))] for draw in draws]
        )
        features = [
            Feature(name=name, kind=str(rng.choice(KINDS)), type=str(rng.choice(TYPES)))
            for name in reference.column_names
        ]
        if rng.random() < 0.1:
            current = current.drop_columns([current.column_names[0]])
        try:
            sides = rows_of_table(reference), rows_of_table(current)
            measured = measure_drift(plan_drift(features, sides[0]), *sides, max_share=0.3)
        except Exception as fault:
            print(f"{type(fault).__name__}: {fault}")
            counts["raised"] += 1
            continue
        counts["columns"] += len(measured.columns)
        counts["without_score_or_reason"] += sum(
            not (each.reason if each.score is None else np.isfinite(each.score)) for each in measured.columns
        )
        counts["changed_by_json"] += DriftMeasured.model_validate_json(measured.model_dump_json()) != measured
    return counts


def make_frame(rng: np.random.Generator, draws: list[Draw]) -> pa.Table:
    """Make a frame of as many columns as *draws*."""
    rows = int(rng.choice(SIZES))
    return pa.table({f"column {place}": draw(rng, rows) for place, draw in enumerate(draws)})


def judge(totals: dict[str, int], _n: int) -> tuple[int, dict[str, float]]:
    """Nothing of it happens."""
    broken = ("raised", "without_score_or_reason", "changed_by_json")
    return sum(totals[name] > 0 for name in broken), {name: totals[name] for name in ("frames", "columns")}


if __name__ == "__main__":
    prove("D11", CLAIM, trial, judge, n=100)
