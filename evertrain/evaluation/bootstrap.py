"""Owns the paired bootstrap: the same resampled rows for every formula, stratified, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from evertrain.evaluation.scores import FloatArray, Formula, IntArray

Item = TypeVar("Item")
Name = TypeVar("Name", bound=Hashable)

MOST_RESAMPLES = 1_000
FEWEST_RESAMPLES = 200
ROW_BUDGET = 200_000_000
"""Rows drawn in all, over resamples and curves: 1,000 resamples of 200,000 rows."""
CHUNK_CELLS = 100_000
"""Weights held at once, where rows allow: so few stay in a core's cache with what is computed of them."""


def count_resamples(rows: int, curves: int = 1) -> int:
    """Say how many resamples *rows* allow: 1,000, and fewer (never under 200) above 200,000 rows.

    Args:
        rows: Rows that are resampled.
        curves: How many rankings a formula walks over: the number of classes, where there are more than two.
    """
    return int(np.clip(ROW_BUDGET // (rows * curves), FEWEST_RESAMPLES, MOST_RESAMPLES))


def draw_weights(
    strata: IntArray, *, resamples: int, seed: int, chunk_cells: int = CHUNK_CELLS
) -> Iterator[FloatArray]:
    """Draw rows with replacement within each stratum; yield how often each was drawn.

    One random number is spent on each row of each resample, in order: what is drawn doesn't depend on chunks.

    Args:
        strata: The stratum of each row, shape [n]; each keeps its number of rows in every resample.
        resamples: How many resamples in all.
        seed: Seeds the draw.
        chunk_cells: How many weights to hold at once.

    Yields:
        Counts of shape [b, n] as floats, for b resamples at a time.
    """
    generator = np.random.default_rng(seed)
    rows = strata.size
    order = np.argsort(strata, kind="stable")
    _, sizes = np.unique(strata, return_counts=True)
    size = np.repeat(sizes, sizes)
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    step = max(1, chunk_cells // rows)
    for done in range(0, resamples, step):
        chunk = min(step, resamples - done)
        drawn = start + (generator.random((chunk, rows)) * size).astype(np.int64)
        cells = order[drawn] + np.arange(chunk)[:, None] * rows
        counts = np.bincount(cells.ravel(), minlength=chunk * rows)
        yield counts.reshape(chunk, rows).astype(np.float64)


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
    draws: dict[Name, list[FloatArray]] = {name: [] for name in formulas}
    drawn = draw_weights(strata, resamples=resamples, seed=seed, chunk_cells=chunk_cells)
    # Drawing takes as long as most formulas, and neither holds the interpreter's lock for long.
    for weights in one_ahead(drawn):
        for name, formula in formulas.items():
            draws[name].append(formula(weights))
    return {name: np.concatenate(parts) for name, parts in draws.items()}


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Give *items* in order; while one is used, the next is made in a thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="one-ahead") as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item


def evaluate_once(formula: Formula, rows: int) -> float:
    """Compute *formula* with each of *rows* rows counted once: the metric itself."""
    return float(formula(np.ones((1, rows)))[0])


def find_interval(draws: FloatArray, confidence: float) -> tuple[float, float]:
    """Give the two-sided percentile interval of *draws*: low and high."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
