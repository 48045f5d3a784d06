"""Owns drift: how it is told, fixed at training time, and the exact scores of one check over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from evertrain.columns import DATETIME_PARTS
from evertrain.drift.distances import jensen_shannon, normed_wasserstein
from evertrain.drift.readers import ColumnReader, Known, read_known
from evertrain.drift.shapes import shape_categories, shape_numbers
from evertrain.drift_records import ColumnDrift, DriftColumn, DriftMeasured, DriftPlan
from evertrain.errors import InvalidInput
from evertrain.records import Feature

if TYPE_CHECKING:
    from evertrain.drift.snapshots import EvidentlyReport

__all__ = ["ColumnReader", "evidently_snapshot", "measure_drift", "plan_drift"]

# Evidently's own for references of over 1,000 rows, here for all: a score means the same at any size.
THRESHOLD = 0.1
WASSERSTEIN, JENSEN_SHANNON = "wasserstein", "jensenshannon"
SIDES = ("reference", "current")


def plan_drift(features: Sequence[Feature]) -> DriftPlan:
    """Fix how drift is told: by normed Wasserstein distance for numbers, Jensen-Shannon for categories.

    A datetime feature is told by the parts of it that its model sees: year, month, day of week, hour.
    """
    return DriftPlan(columns=tuple(column for feature in features for column in _plan_feature(feature)))


def measure_drift(
    plan: DriftPlan, reference: ColumnReader, current: ColumnReader, *, max_share: float
) -> DriftMeasured:
    """Score every column of *plan* on all rows of both sides; reads one column at a time.

    A score is what Evidently computes from all known values of the prepared column: numbers as float64,
    categories as the model sees them. A column drifted where it reaches its threshold, and where only
    one side has values of its kind: there is no score of that.

    Args:
        plan: The columns, methods and thresholds.
        reference: What the champion learnt from, or the window before.
        current: The newest rows.
        max_share: Which share of columns may drift.

    Returns:
        A result for each column, whatever it holds; one that can't be scored says why.
    """
    columns = tuple(_measure(column, reference, current) for column in plan.columns)
    drifted = sum(column.drifted for column in columns)
    return DriftMeasured(
        columns=columns,
        share=drifted / len(columns) if columns else 0.0,
        max_share=max_share,
        rows_reference=reference.rows,
        rows_current=current.rows,
    )


def evidently_snapshot(
    plan: DriftPlan,
    measured: DriftMeasured,
    reference: ColumnReader,
    current: ColumnReader,
    *,
    seed: int,
    sample_rows: int = 10_000,
) -> EvidentlyReport | None:
    """Let Evidently tell what was measured; see ``snapshots.draw_snapshot``."""
    from evertrain.drift.snapshots import draw_snapshot

    return draw_snapshot(plan, measured, (reference, current), seed=seed, sample_rows=sample_rows)


def _plan_feature(feature: Feature) -> list[DriftColumn]:
    if feature.kind == "datetime":
        return [
            DriftColumn(
                name=f"{feature.name} ({part})",
                kind="datetime",
                method=WASSERSTEIN,
                threshold=THRESHOLD,
                type=feature.type,
                feature=feature.name,
                part=part,
            )
            for part in DATETIME_PARTS
        ]
    method = JENSEN_SHANNON if feature.kind == "categorical" else WASSERSTEIN
    return [
        DriftColumn(
            name=feature.name, kind=feature.kind, method=method, threshold=THRESHOLD, type=feature.type
        )
    ]


def _measure(column: DriftColumn, reference: ColumnReader, current: ColumnReader) -> ColumnDrift:
    found = []
    for side, reader in zip(SIDES, (reference, current), strict=True):
        try:
            found.append(read_known(column, reader))
        except InvalidInput as cause:
            # What was learnt from, and now is gone or something else, moved further than any score tells.
            return _untold(column, f"in the {side} rows {cause.message}", side == "current")
    missing = {f"missing_{side}_share": known.missing_share for side, known in zip(SIDES, found, strict=True)}
    empty = [side for side, known in zip(SIDES, found, strict=True) if known.is_empty]
    if empty:
        vanished = len(empty) == 1 and all(known.rows for known in found)
        reason = f"there is no value in the {' and '.join(empty)} rows"
        return _untold(column, reason, vanished, **missing)
    score = _score(column, *found)
    if not np.isfinite(score):
        return _untold(column, "its numbers are too large to be compared", False, **missing)
    drifted = score >= column.threshold
    draw = shape_categories if column.kind == "categorical" else shape_numbers
    return ColumnDrift(
        name=column.name,
        method=column.method,
        score=score,
        threshold=column.threshold,
        drifted=drifted,
        shape=draw(*found) if drifted else None,
        **missing,
    )


def _score(column: DriftColumn, reference: Known, current: Known) -> float:
    if column.kind != "categorical":
        return normed_wasserstein(reference.numbers, current.numbers)
    texts = reference.counts | current.counts
    sides = [np.array([known.counts.get(text, 0) for text in texts]) for known in (reference, current)]
    return jensen_shannon(*sides)


def _untold(column: DriftColumn, reason: str, drifted: bool = False, **missing: float) -> ColumnDrift:
    return ColumnDrift(
        name=column.name,
        method=column.method,
        score=None,
        threshold=column.threshold,
        drifted=drifted,
        reason=reason,
        **missing,
    )
