"""Owns what scores unchanged rows reach: the reference split in two, at random and by blocks of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evertrain.drift.distances import LEAST_SPREAD

BINS = 48
MOST_DISTINCT = 128
MOST_BLOCKS = 500


class Binned(NamedTuple):
    """Rows in time order, each as the place of its value.

    ``places`` are the values' means, shape (k,), and ``squares`` the means of their squares, both about the
    middle and in standard deviations; None for categories.
    """

    codes: np.ndarray
    counts: np.ndarray
    places: np.ndarray | None = None
    squares: np.ndarray | None = None

    @property
    def bins(self) -> int:
        """How many places there are."""
        return len(self.counts)


class Scores(NamedTuple):
    """Scores of unchanged rows, shape (r,), at an effective size: n·m / (n + m) of sides of n and m rows."""

    size: float
    scores: np.ndarray


def bin_numbers(numbers: np.ndarray) -> Binned | None:
    """Put numbers into few bins, narrow ones at both ends, where single values move a mean.

    Args:
        numbers: Finite, in time order, shape (n,), n > 0.

    Returns:
        None where they are too large for their spread to be told.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        middle, spread = float(np.median(numbers)), max(float(numbers.std()), LEAST_SPREAD)
        if not np.isfinite(spread) or not np.isfinite(middle):
            return None
        values = (numbers - middle) / spread
    if not np.isfinite(values).all():
        return None
    edges = _cut(np.sort(values))
    codes = np.searchsorted(edges, values, side="right") - 1
    counts = np.bincount(codes, minlength=len(edges))
    places = np.bincount(codes, values, minlength=len(edges)) / counts
    squares = np.bincount(codes, values**2, minlength=len(edges)) / counts
    return Binned(codes, counts, places, squares)


def split_rows(binned: Binned, rows: int, repeats: int, rng: np.random.Generator) -> Scores:
    """Take about *rows* of the rows at random as current and the rest as reference, *repeats* times."""
    total = int(binned.counts.sum())
    drawn = rng.binomial(binned.counts, rows / total, size=(repeats, binned.bins))
    return Scores(rows * (total - rows) / total, score_splits(binned, drawn))


def split_blocks(
    binned: Binned, rows: int, block: int, repeats: int, rng: np.random.Generator
) -> Scores | None:
    """Take about *rows* of the rows, in blocks of about *block* consecutive ones, as current.

    Returns:
        None where there are too few such blocks to choose from.
    """
    total = len(binned.codes)
    chosen = max(1, round(rows / max(block, total // MOST_BLOCKS)))
    length = rows // chosen
    blocks = total // length
    if blocks < max(2 * chosen, 4):
        return None
    cut = binned.codes[-blocks * length :]
    owners = np.repeat(np.arange(blocks), length)
    held = np.bincount(owners * binned.bins + cut, minlength=blocks * binned.bins)
    held = held.reshape(blocks, binned.bins).astype(np.float32)
    pool = rng.permutation(blocks)[:MOST_BLOCKS]
    keys = rng.random((repeats, len(pool)), dtype=np.float32)
    picked = np.zeros((repeats, len(pool)), dtype=np.float32)
    np.put_along_axis(picked, np.argpartition(keys, chosen - 1, axis=1)[:, :chosen], 1, axis=1)
    within = binned._replace(counts=held.sum(axis=0))
    drawn = picked @ held[pool]
    current = chosen * length
    return Scores(current * (len(cut) - current) / len(cut), score_splits(within, drawn))


def score_splits(binned: Binned, drawn: np.ndarray) -> np.ndarray:
    """Score each split, shape (r,): *drawn* counts, shape (r, k), beside what is left of all.

    The scores are those of ``distances``, of bins. A split without rows on one side scores 0.
    """
    left = binned.counts - drawn
    sizes = [np.maximum(side.sum(axis=1, keepdims=True), 1) for side in (left, drawn)]
    reference, current = (side / size for side, size in zip((left, drawn), sizes, strict=True))
    if binned.places is None or binned.squares is None:
        scores = _jensen_shannon(reference, current)
    else:
        means, squares = reference @ binned.places, reference @ binned.squares
        spreads = np.sqrt(np.maximum(squares - means**2, LEAST_SPREAD**2))
        below = np.cumsum(reference - current, axis=1)[:, :-1]
        scores = np.abs(below) @ np.diff(binned.places) / spreads
    empty = (left.sum(axis=1) == 0) | (drawn.sum(axis=1) == 0)
    told: np.ndarray = np.where(empty, 0.0, scores)
    return told


def _jensen_shannon(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    middle = (reference + current) / 2
    divergence = np.zeros(len(reference))
    for side in (reference, current):
        ratio = np.divide(side, middle, out=np.ones_like(middle), where=side > 0)
        divergence += np.einsum("ij,ij->i", side, np.log(ratio))
    distances: np.ndarray = np.sqrt(np.maximum(divergence, 0) / 2)
    return distances


def _cut(values: np.ndarray) -> np.ndarray:
    """The lower edges of bins of sorted *values*: each distinct one, or fewer."""
    distinct = values[np.concatenate([[True], np.diff(values) > 0])]
    if len(distinct) <= MOST_DISTINCT:
        few: np.ndarray = distinct
        return few
    rows = len(values)
    ends = np.unique(np.geomspace(1, max(rows / BINS, 1), 12).astype(int))
    ranks = np.concatenate([[0], ends, np.linspace(0, rows - 1, BINS + 1).astype(int), rows - ends])
    cut: np.ndarray = np.unique(values[np.clip(ranks, 0, rows - 1)])
    return cut
