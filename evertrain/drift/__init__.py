"""Owns drift: how it is told, fixed at training time, and the exact scores of one check over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evertrain.columns import DATETIME_PARTS
from evertrain.drift.judging import judge
from evertrain.drift.predictions import measure_predictions
from evertrain.drift.readers import ColumnReader, ValueReader
from evertrain.drift.scoring import make_curve, score_column
from evertrain.drift_records import (
    JENSEN_SHANNON,
    THRESHOLD,
    WASSERSTEIN,
    DriftColumn,
    DriftMeasured,
    DriftPlan,
)
from evertrain.records import Feature

if TYPE_CHECKING:
    from evertrain.drift.snapshots import EvidentlyReport

__all__ = [
    "ColumnReader",
    "ValueReader",
    "evidently_snapshot",
    "measure_drift",
    "measure_predictions",
    "plan_drift",
]


def plan_drift(features: Sequence[Feature], reference: ValueReader | None = None) -> DriftPlan:
    """Fix how drift is told: by normed Wasserstein distance for numbers, Jensen-Shannon for categories.

    A datetime feature is told by the parts of it that its model sees: year, month, day of week, hour.

    Args:
        features: What the model is asked with.
        reference: What it learnt from, in time order: each column's curve is made of it; see ``curves``.
            Without it, a check makes the curves of its own reference rows.
    """
    columns = (column for feature in features for column in _plan_feature(feature))
    if reference is None:
        return DriftPlan(columns=tuple(columns))
    return DriftPlan(
        columns=tuple(
            column.model_copy(update={"curve": make_curve(column, reference)}) for column in columns
        )
    )


def measure_drift(
    plan: DriftPlan, reference: ValueReader, current: ValueReader, *, max_share: float
) -> DriftMeasured:
    """Score every column of *plan* on all rows of both sides; reads one column at a time.

    A score is what Evidently computes from all known values of the prepared column: numbers as float64,
    categories as the model sees them. A column drifted where it reaches its threshold, and where only
    one side has values of its kind: there is no score of that. Its threshold is the plan's, or more: what
    unchanged rows of so many reach too seldom, all columns of the check together; see ``discovery``.

    Args:
        plan: The columns, methods, least thresholds and curves.
        reference: What the champion learnt from, or the window before.
        current: The newest rows.
        max_share: Which share of columns may drift.

    Returns:
        A result for each column, whatever it holds; one that can't be scored says why.
    """
    found = [score_column(column, reference, current, len(plan.columns)) for column in plan.columns]
    columns = judge(found)
    drifted = sum(column.drifted for column in columns)
    return DriftMeasured(
        columns=columns,
        quality=tuple(
            sorted((each for one in found for each in one.quality), key=lambda each: not each.alert)
        ),
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
