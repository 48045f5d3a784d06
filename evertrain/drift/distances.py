"""Owns the two distances between samples, as Evidently defines them, over all values and in linear memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

# Fewer are sorted before another thread has begun.
WORTH_A_THREAD = 20_000
# Evidently's own floor: a column that was constant is measured in thousandths.
LEAST_SPREAD = 0.001


def normed_wasserstein(reference: np.ndarray, current: np.ndarray) -> float:
    """How far values moved on average, in standard deviations of the reference.

    Args:
        reference: Finite numbers, shape (n,), n > 0.
        current: Finite numbers, shape (m,), m > 0.

    Returns:
        The first Wasserstein distance over the spread; not finite where numbers are too large for that.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        spread = max(float(reference.std()), LEAST_SPREAD)
        counted = _count_whole(reference, current)
        moved = _area_between(*_sort_both(reference, current)) if counted is None else counted
        return moved / spread if np.isfinite(spread) else np.inf


def jensen_shannon(reference: np.ndarray, current: np.ndarray) -> float:
    """The Jensen-Shannon distance, in natural units, of two counts over the same categories, shape (k,)."""
    shares = [counts / counts.sum() for counts in (reference, current)]
    middle = (shares[0] + shares[1]) / 2
    divergence = 0.0
    for share in shares:
        seen = share > 0
        divergence += float(np.sum(share[seen] * np.log(share[seen] / middle[seen])))
    return float(np.sqrt(max(divergence, 0.0) / 2))


def _count_whole(reference: np.ndarray, current: np.ndarray) -> float | None:
    """The first Wasserstein distance of whole numbers in a narrow range, counted instead of sorted."""
    low = min(reference.min(), current.min())
    width = max(reference.max(), current.max()) - low
    if not width <= len(reference) + len(current):
        return None
    if any((values != np.floor(values)).any() for values in (reference, current)):
        return None
    below = [
        np.cumsum(np.bincount((values - low).astype(np.int64), minlength=int(width) + 1)) / len(values)
        for values in (reference, current)
    ]
    return float(np.abs(below[0] - below[1]).sum())


def _sort_both(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if max(len(reference), len(current)) < WORTH_A_THREAD:
        return np.sort(reference), np.sort(current)
    # Sorting is most of a check's work, and lets other threads run meanwhile.
    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(np.sort, (reference, current))
    return left, right


def _area_between(reference: np.ndarray, current: np.ndarray) -> float:
    """The first Wasserstein distance of sorted values: the area between their quantile functions."""
    n, m = len(reference), len(current)
    if n == m:
        return float(np.abs(reference - current).mean())
    # Both functions are steps: one's edges are the multiples of m, the other's those of n, on a scale of n·m.
    edges = np.concatenate([np.arange(n + 1) * m, np.arange(1, m) * n])
    edges.sort(kind="stable")
    widths, starts = np.diff(edges), edges[:-1]
    gaps = np.abs(reference[starts // m] - current[starts // n])
    return float(np.dot(gaps, widths)) / (n * m)
