"""Owns the curve of a column: how far apart unchanged rows of it lie, by how many there are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evertrain.drift.blocks import block_length
from evertrain.drift.resampling import Binned, Scores, bin_numbers, split_blocks, split_rows
from evertrain.drift_records import NullCurve

SIZES = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
MOST_ROWS = 200_000
"""The newest of so many rows are resampled."""
REPEATS, LEAST_REPEATS = 1_000, 60
MOST_DRAWN = 128_000
"""How many places are drawn for a size: of many categories fewer times, since their sum varies less."""
SHARES = np.array([0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002])
"""The chances whose scores a curve holds."""
TAIL = 3
"""From this one of ``SHARES`` on, a tail is fitted."""
TAILS = (0.01, 1.0)
"""No tail's index is less or more: more would be that of scores without a mean."""
LEAST_SCORE = 1e-12


class AtSize(NamedTuple):
    """A curve at one size: the scores of ``SHARES``, shape (8,), and the tail's index beyond."""

    scores: np.ndarray
    tail: float


def calibrate_numbers(numbers: np.ndarray) -> NullCurve | None:
    """Make the curve of finite numbers in time order, shape (n,), n > 0; None if too large to compare."""
    binned = bin_numbers(numbers[-MOST_ROWS:])
    return binned and calibrate(binned, ordered=True)


def calibrate_codes(codes: np.ndarray) -> NullCurve:
    """Make the curve of categories in time order, as numbers from 0 on, shape (n,), n > 0."""
    _, found = np.unique(codes[-MOST_ROWS:], return_inverse=True)
    return calibrate(Binned(found, np.bincount(found)), ordered=False)


def calibrate(binned: Binned, *, ordered: bool) -> NullCurve:
    """Split the rows many times at each size, at random and by blocks of time, and keep the wider.

    Both sides of a split are disjoint rows of one origin, so their scores are those of a check in which
    nothing changed, the reference's own noise and values that only one side has among them.
    """
    rows = len(binned.codes)
    repeats = int(np.clip(MOST_DRAWN // binned.bins, LEAST_REPEATS, REPEATS))
    block = block_length(binned.codes, binned.bins, ordered=ordered)
    rng = np.random.default_rng(0)
    found = []
    for size in [size for size in SIZES if size <= rows // 2] or [max(1, rows // 2)]:
        scores = split_rows(binned, size, repeats, rng)
        curve = _summarise(scores)
        blocks = split_blocks(binned, size, block, repeats, rng) if block > 1 else None
        if blocks is not None:
            other = _summarise(blocks, of=scores.size)
            curve = AtSize(np.maximum(curve.scores, other.scores), max(curve.tail, other.tail))
        found.append((scores.size, curve))
    return NullCurve(
        sizes=tuple(_shorten(size) for size, _ in found),
        scores=tuple(tuple(_shorten(score) for score in curve.scores) for _, curve in found),
        tails=tuple(_shorten(curve.tail) for _, curve in found),
        block=block,
    )


def at_size(curve: NullCurve, reference: int, current: int) -> AtSize:
    """Read *curve* for sides of so many rows, between the sizes that it holds and beyond them.

    It is read at the effective size; beyond, scores go on falling as they did between the last two, but at
    most as the root of the size.
    """
    size = reference * current / (reference + current)
    sizes = np.log(np.maximum(curve.sizes, LEAST_SCORE))
    # Times the root of the size they hardly change.
    scaled = np.log(np.maximum(curve.scores, LEAST_SCORE)) + sizes[:, None] / 2
    place = np.log(size)
    if place > sizes[-1]:
        slope = np.clip((scaled[-1] - scaled[-2]) / (sizes[-1] - sizes[-2]), 0, 0.5) if len(sizes) > 1 else 0
        read, tail = scaled[-1] + slope * (place - sizes[-1]), curve.tails[-1]
    elif place < sizes[0]:
        slope = np.clip((scaled[1] - scaled[0]) / (sizes[1] - sizes[0]), -0.5, 0) if len(sizes) > 1 else 0
        read, tail = scaled[0] + slope * (place - sizes[0]), curve.tails[0]
    else:
        read = np.array([np.interp(place, sizes, row) for row in scaled.T])
        tail = float(np.interp(place, sizes, curve.tails))
    return AtSize(np.maximum.accumulate(np.exp(read - place / 2)), tail)


def chance_of(score: float, at: AtSize) -> float:
    """The chance that unchanged rows lie as far apart as *score*; 1 for all below their median."""
    if score < at.scores[0] or score <= LEAST_SCORE:
        return 1.0
    if score >= at.scores[-1]:
        # By logarithms: a finite score may be too many times as large.
        beyond = np.log(score) - np.log(at.scores[-1])
        return float(SHARES[-1] * np.exp(-beyond / at.tail))
    return float(np.exp(np.interp(np.log(score), np.log(at.scores), np.log(SHARES))))


def score_of(chance: float, at: AtSize) -> float:
    """The score that unchanged rows reach by this *chance*, at most .5; the inverse of ``chance_of``."""
    if chance < SHARES[-1]:
        return float(at.scores[-1] * (SHARES[-1] / chance) ** at.tail)
    return float(np.exp(np.interp(-np.log(chance), -np.log(SHARES), np.log(at.scores))))


def _summarise(found: Scores, of: float | None = None) -> AtSize:
    """Reduce scores to those of ``SHARES`` and a Pareto tail, its index by Hill (Ann. Stat. 3, 1975).

    Such a tail is wider than that of light-tailed scores, and of those with rare jumps no narrower. Scores at
    another size than *of* are first taken there.
    """
    scores = np.sort(np.maximum(found.scores, LEAST_SCORE)) * np.sqrt(found.size / of if of else 1.0)
    repeats = len(scores)
    places = np.clip(np.ceil((1 - SHARES) * (repeats + 1)).astype(int) - 1, 0, repeats - 1)
    seen = scores[places]
    beyond = scores[places[TAIL] :]
    tail = float(np.clip(np.mean(np.log(beyond / beyond[0])), *TAILS))
    fitted = seen[TAIL] * (SHARES[TAIL] / SHARES) ** tail
    return AtSize(np.where(SHARES[TAIL] > SHARES, np.maximum(seen, fitted), seen), tail)


def _shorten(number: float) -> float:
    return float(f"{number:.4g}") if number > 2 * LEAST_SCORE else 0.0
