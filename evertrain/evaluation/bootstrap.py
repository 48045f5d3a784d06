"""Owns the paired bootstrap: the same resampled rows for every formula, stratified, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from evertrain.evaluation.scores import FloatArray, Formula, IntArray

Name = TypeVar("Name", bound=Hashable)

MOST_RESAMPLES = 1_000
FEWEST_RESAMPLES = 200
ROW_BUDGET = 200_000_000
"""Rows drawn in all, over resamples and curves: 1,000 resamples of 200,000 rows."""
CHUNK_CELLS = 60_000
"""Weights that a thread holds, where rows allow: so few stay in a cache with what is made of them."""
MOST_THREADS = 4
ROWS_FOR_THREADS = 100_000


def count_resamples(rows: int, curves: int = 1) -> int:
    """Say how many resamples *rows* allow: 1,000, and fewer (never under 200) above 200,000 rows.

    Args:
        rows: Rows that are resampled.
        curves: How many rankings a formula walks over: the number of classes, where there are more than two.
    """
    return int(np.clip(ROW_BUDGET // (rows * curves), FEWEST_RESAMPLES, MOST_RESAMPLES))


class Resampler:
    """Draws rows with replacement within each stratum, and counts how often each was drawn.

    One random number is spent on each row of each resample, in order: what is drawn doesn't depend on how
    many resamples are drawn at once, or by how many threads.

    Args:
        strata: The stratum of each row, shape [n]; each keeps its number of rows in every resample.
        seed: Seeds the draw.
    """

    def __init__(self, strata: IntArray, seed: int) -> None:
        self._seed = seed
        self._rows = strata.size
        self._order = np.argsort(strata, kind="stable")
        _, sizes = np.unique(strata, return_counts=True)
        self._size = np.repeat(sizes, sizes).astype(np.float64)
        self._start = np.repeat(np.cumsum(sizes) - sizes, sizes)

    def weights(self, first: int, count: int) -> FloatArray:
        """Give the counts of *count* resamples from number *first* on, as floats of shape [count, n]."""
        bits = np.random.PCG64(self._seed)
        bits.advance(first * self._rows)
        generator = np.random.Generator(bits)
        return np.stack([self._count(generator) for _ in range(count)])

    def _count(self, generator: np.random.Generator) -> FloatArray:
        drawn = (generator.random(self._rows) * self._size).astype(np.int64)
        drawn += self._start
        return np.bincount(self._order.take(drawn), minlength=self._rows).astype(np.float64)


def bootstrap(
    formulas: Mapping[Name, Formula],
    strata: IntArray,
    *,
    resamples: int,
    seed: int,
    chunk_cells: int = CHUNK_CELLS,
) -> dict[Name, FloatArray]:
    """Compute every formula on the same resamples.

    Returns:
        The draws of each formula, by its name, each of shape [resamples].
    """
    resampler = Resampler(strata, seed)
    step = max(1, chunk_cells // strata.size)

    def compute(first: int) -> list[FloatArray]:
        weights = resampler.weights(first, min(step, resamples - first))
        return [formula(weights) for formula in formulas.values()]

    with ThreadPoolExecutor(count_threads(strata.size), "resamples") as threads:
        parts = list(threads.map(compute, range(0, resamples, step)))
    return {name: np.concatenate([part[at] for part in parts]) for at, name in enumerate(formulas)}


def count_threads(rows: int) -> int:
    """Say how many threads *rows* keep busy: each waits for the interpreter's lock where they are few."""
    return min(MOST_THREADS, len(os.sched_getaffinity(0))) if rows >= ROWS_FOR_THREADS else 1


def evaluate_once(formula: Formula, rows: int) -> float:
    """Compute *formula* with each of *rows* rows counted once: the metric itself."""
    return float(formula(np.ones((1, rows)))[0])


def find_interval(draws: FloatArray, confidence: float) -> tuple[float, float]:
    """Give the two-sided percentile interval of *draws*: low and high."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
