"""Owns how a drifted column is pictured: few bins of numbers, or the most frequent categories."""

from __future__ import annotations

import numpy as np

from evertrain.drift.readers import Known
from evertrain.drift_records import DriftShape

BINS = 24
MOST_CATEGORIES = 9
OTHERS = "others"
# What lies further out stands in the outermost bins: a single outlier would make one bin of all the rest.
ENDS = (0.005, 0.995)


def shape_numbers(reference: Known, current: Known) -> DriftShape | None:
    """Count numbers in bins that both sides share; None where they are too large for that."""
    with np.errstate(over="ignore", invalid="ignore"):
        edges = _cut(np.concatenate([reference.numbers, current.numbers]))
    if not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        return None
    shares = [
        np.histogram(np.clip(known.numbers, edges[0], edges[-1]), edges)[0] / len(known.numbers)
        for known in (reference, current)
    ]
    return DriftShape(edges=edges.tolist(), reference=shares[0].tolist(), current=shares[1].tolist())


def shape_categories(reference: Known, current: Known) -> DriftShape:
    """Take the most frequent categories of both sides, and the rest together."""
    sides = [
        {text: count / sum(known.counts.values()) for text, count in known.counts.items()}
        for known in (reference, current)
    ]
    weights = {text: sum(side.get(text, 0.0) for side in sides) for side in sides for text in side}
    ranked = sorted(weights, key=lambda text: (-weights[text], text))
    top, rest = ranked[:MOST_CATEGORIES], ranked[MOST_CATEGORIES:]
    columns = [
        [side.get(text, 0.0) for text in top] + ([sum(side.get(text, 0.0) for text in rest)] if rest else [])
        for side in sides
    ]
    labels = [*top, *([f"{OTHERS} ({len(rest):,})"] if rest else [])]
    return DriftShape(labels=tuple(labels), reference=tuple(columns[0]), current=tuple(columns[1]))


def _cut(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, ENDS)
    if low == high:
        low, high = values.min(), values.max()
    if high - low < BINS and (values == np.floor(values)).all():
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)
    return np.linspace(low, high, BINS + 1)
