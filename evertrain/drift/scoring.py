"""Owns one column's score in a check, its chance where nothing has changed, and its picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evertrain.drift.curves import AtSize, at_size, calibrate_codes, calibrate_numbers, chance_of
from evertrain.drift.discovery import LEVEL
from evertrain.drift.distances import jensen_shannon, normed_wasserstein
from evertrain.drift.quality import find_quality
from evertrain.drift.readers import Known, ValueReader, read_codes, read_known
from evertrain.drift.shapes import shape_categories, shape_numbers
from evertrain.drift_records import ColumnDrift, DriftColumn, NullCurve, QualityFinding
from evertrain.errors import InvalidInput

SIDES = ("reference", "current")


class Scored(NamedTuple):
    """A column's score, to be judged among the others, and what its quality lost.

    ``at`` is what unchanged rows reach; None where there is no score.
    """

    drift: ColumnDrift
    at: AtSize | None = None
    quality: tuple[QualityFinding, ...] = ()


def make_curve(column: DriftColumn, reference: ValueReader, known: Known | None = None) -> NullCurve | None:
    """Make the curve of a column from its *reference* rows; None where there are none of its kind.

    Args:
        column: Which one.
        reference: Rows in time order.
        known: Its known values in them, if they were read already.
    """
    try:
        if column.kind == "categorical":
            codes = read_codes(column, reference) if column.name in reference.names else ()
            return calibrate_codes(np.asarray(codes)) if len(codes) else None
        numbers = (known or read_known(column, reference)).numbers
    except InvalidInput:
        return None
    return calibrate_numbers(numbers) if len(numbers) else None


def score_column(column: DriftColumn, reference: ValueReader, current: ValueReader, columns: int) -> Scored:
    """Score a column on all rows of both sides.

    Args:
        column: Which one, and how.
        reference: Older rows.
        current: The newest rows.
        columns: How many columns the check has.
    """
    found = []
    for side, reader in zip(SIDES, (reference, current), strict=True):
        try:
            found.append(read_known(column, reader))
        except InvalidInput as cause:
            # What was learnt from, and now is gone or something else, moved further than any score tells.
            return Scored(untold(column, f"in the {side} rows {cause.message}", side == "current"))
    curve = column.curve or make_curve(column, reference, found[0])
    block = curve.block if curve else 1
    quality = tuple(find_quality(column, *found, block=block, columns=columns))
    missing = {f"missing_{side}_share": known.missing_share for side, known in zip(SIDES, found, strict=True)}
    empty = [side for side, known in zip(SIDES, found, strict=True) if known.is_empty]
    if empty:
        vanished = len(empty) == 1 and all(known.rows for known in found)
        reason = f"there is no value in the {' and '.join(empty)} rows"
        return Scored(untold(column, reason, vanished, **missing), quality=quality)
    score = _score(column, *found)
    if curve is None or not np.isfinite(score):
        reason = "its numbers are too large to be compared"
        return Scored(untold(column, reason, False, **missing), quality=quality)
    at = at_size(curve, *(known.known for known in found))
    chance = chance_of(score, at)
    draw = shape_categories if column.kind == "categorical" else shape_numbers
    drift = ColumnDrift(
        name=column.name,
        method=column.method,
        score=score,
        threshold=column.threshold,
        drifted=False,
        p_value=chance,
        # No cut-off is above the level: what isn't pictured here won't have drifted.
        shape=draw(*found) if score >= column.threshold and chance <= 2 * LEVEL else None,
        **missing,
    )
    return Scored(drift, at, quality)


def _score(column: DriftColumn, reference: Known, current: Known) -> float:
    if column.kind != "categorical":
        return normed_wasserstein(reference.numbers, current.numbers)
    texts = reference.counts | current.counts
    sides = [np.array([known.counts.get(text, 0) for text in texts]) for known in (reference, current)]
    return jensen_shannon(*sides)


def untold(column: DriftColumn, reason: str, drifted: bool = False, **missing: float) -> ColumnDrift:
    """A column that has no score, and why; *missing* are its shares of missing values."""
    return ColumnDrift(
        name=column.name,
        method=column.method,
        score=None,
        threshold=column.threshold,
        drifted=drifted,
        reason=reason,
        **missing,
    )
