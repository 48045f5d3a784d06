"""Owns the suspicion of a feature that tells the target all by itself: it may not be known in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from evertrain.columns import InputSpec
from evertrain.records import Feature, Label
from evertrain.training.rows import TrainingRows, select_rows

LARGEST_AUC = 0.995
LARGEST_CORRELATION = 0.999
# Fewer rows of a class, or of numbers, agree with a column by chance.
FEWEST_OF_A_CLASS = 10
FEWEST_NUMBERS = 30
# Of more rows so many are looked at, evenly spread: enough to tell .995 from .99.
MOST_ROWS = 100_000


def find_lone_features(
    features: Sequence[Feature], rows: TrainingRows, classes: Sequence[Label] | None
) -> tuple[str, ...]:
    """Find features that alone have an AUC over .995 for a class against the rest, or an |r| over .999.

    A missing number counts as the least, then as the greatest: that a value is missing may tell as much as
    a value. A category counts by the mean of the target among the other half of the rows, so that names of
    single rows tell nothing.

    Args:
        features: What callers send, in the order of the rows' inputs.
        rows: The training side.
        classes: In the order of the target's codes; None for regression.

    Returns:
        A sentence a feature, which names its column.
    """
    names = {feature_input: feature.name for feature, feature_input in _pair(features, rows.specs)}
    looked_at = np.arange(len(rows.target)) % (len(rows.target) // MOST_ROWS + 1) == 0
    rows = rows if looked_at.all() else select_rows(rows, looked_at)
    found: dict[str, str] = {}
    for spec in rows.specs:
        strength = _measure(spec, rows, classes)
        if strength is not None:
            found.setdefault(names[spec.name], strength)
    return tuple(
        f"column {name!r} alone {strength}; is it known before the target is?"
        for name, strength in found.items()
    )


def _pair(features: Sequence[Feature], specs: Sequence[InputSpec]) -> Iterator[tuple[Feature, str]]:
    for place, feature in enumerate(features):
        prefix = f"in_{place:03d}"
        yield from ((feature, spec.name) for spec in specs if f"{spec.name}_".startswith(f"{prefix}_"))


def _measure(spec: InputSpec, rows: TrainingRows, classes: Sequence[Label] | None) -> str | None:
    import pandas as pd

    values = rows.inputs[spec.name]
    if spec.kind == "string":
        values = pd.factorize(values)[0]
    if classes is None:
        numbers = _mean_by_category(values, rows.target) if spec.kind == "string" else values
        correlation = _correlate(numbers, rows.target)
        return f"has |r| {correlation:.4f} with the target" if correlation > LARGEST_CORRELATION else None
    # Of two classes one tells as much as the other.
    codes = [len(classes) - 1] if len(classes) == 2 else range(len(classes))
    for code in codes:
        hits = rows.target == code
        if min(hits.sum(), (~hits).sum()) < FEWEST_OF_A_CLASS:
            continue
        numbers = _mean_by_category(values, hits.astype(np.float64)) if spec.kind == "string" else values
        area = max(_area_under_roc(np.where(np.isnan(numbers), end, numbers), hits) for end in _ends(numbers))
        if area > LARGEST_AUC:
            return f"tells class {classes[code]!r} from the rest with AUC {area:.4f}"
    return None


def _ends(numbers: np.ndarray) -> tuple[float, ...]:
    return (-np.inf, np.inf) if np.isnan(numbers).any() else (0.0,)


def _area_under_roc(numbers: np.ndarray, hits: np.ndarray) -> float:
    """The AUC of *numbers*, or of their negatives, whichever is greater."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]
    positive, negative = int(hits.sum()), int((~hits).sum())
    area = (ranks[hits].sum() - positive * (positive + 1) / 2) / (positive * negative)
    return float(max(area, 1 - area))


def _correlate(numbers: np.ndarray, target: np.ndarray) -> float:
    there = np.isfinite(numbers)
    if there.sum() < FEWEST_NUMBERS:
        return 0.0
    first = numbers[there].astype(np.float64)
    second = target[there]
    first, second = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return abs(float((first * second).sum())) / spread if spread > 0 else 0.0


def _mean_by_category(codes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The target's mean among the rows of the other half that have the same code; else that of all."""
    count = int(codes.max()) + 1
    half = np.arange(len(codes)) % 2
    means = np.full(len(codes), target.mean())
    for mine in (0, 1):
        theirs = half != mine
        counts = np.bincount(codes[theirs], minlength=count)
        sums = np.bincount(codes[theirs], weights=target[theirs], minlength=count)
        seen = (half == mine) & (counts[codes] > 0)
        means[seen] = sums[codes[seen]] / counts[codes[seen]]
    return means
