"""Owns how long rows stay alike: the length of the blocks in which rows in time order are resampled."""

from __future__ import annotations

import numpy as np

MOST_ROWS = 65_536
LEAST_CYCLE = 0.2
"""So strong a correlation at least tells of a cycle."""
FREQUENT = 6
"""Of so many categories' indicators the autocorrelation is taken."""


def block_length(codes: np.ndarray, bins: int, *, ordered: bool) -> int:
    """How many consecutive rows make a block whose neighbours it knows little of; 1: rows are independent.

    The rule is Politis and White's for the circular block bootstrap (Econometric Reviews 23, 2004, with
    Patton's correction, 28, 2009), on the autocorrelation of ranks or of the most frequent categories.
    Where rows go in cycles, a block holds whole ones: a day is balanced, half a day isn't.

    Args:
        codes: The rows in time order as places of their values, shape (n,).
        bins: How many places there are.
        ordered: Whether places are in the order of the values: numbers; else categories.
    """
    codes = codes[-MOST_ROWS:]
    correlations = _autocorrelate(codes, bins, ordered=ordered)
    rows = len(codes)
    if correlations is None:
        return 1
    memory = _memory(correlations, rows)
    if not memory:
        return 1
    lags = np.arange(1, min(2 * memory, len(correlations) - 1) + 1)
    # The flat-top window: whole to one half, then falling to nothing.
    weighed = np.clip(2 * (1 - lags / (2 * memory)), 0, 1) * correlations[lags]
    bias, variance = 2 * float(weighed @ lags), 1 + 2 * float(weighed.sum())
    longest = min(3 * rows**0.5, rows / 3)
    best = (1.5 * (bias / variance) ** 2 * rows) ** (1 / 3) if variance > 0 else 1.0
    block = max(1, int(np.ceil(min(best, longest))))
    cycle = _cycle(correlations, rows)
    return cycle * max(1, round(block / cycle)) if cycle else block


def _cycle(correlations: np.ndarray, rows: int) -> int:
    """The lag at which rows are alike again after they were not, at most an eighth of them; 0: none."""
    apart = int(np.argmax(correlations <= 0))
    later = correlations[apart : rows // 8]
    if not apart or not len(later):
        return 0
    # Bartlett's spread of a correlation that is none, given those before it.
    noise = np.sqrt((1 + 2 * float((correlations[1:apart] ** 2).sum())) / rows)
    again = int(np.argmax(later))
    return apart + again if later[again] >= max(LEAST_CYCLE, 4 * noise) else 0


def _memory(correlations: np.ndarray, rows: int) -> int:
    """The lag after which several correlations in a row are noise; 0 where all are."""
    quiet = max(5, int(np.sqrt(np.log10(rows))))
    band = 2 * np.sqrt(np.log10(rows) / rows)
    last = int(np.ceil(np.sqrt(rows))) + quiet
    loud = np.abs(correlations[1 : last + 1]) >= band
    run = 0
    for lag, is_loud in enumerate(loud.tolist(), start=1):
        run = 0 if is_loud else run + 1
        if run == quiet:
            return lag - quiet
    return len(loud)


def _autocorrelate(codes: np.ndarray, bins: int, *, ordered: bool) -> np.ndarray | None:
    """The autocorrelation by lag from 0 on; None of too few rows, or where all are one."""
    rows = len(codes)
    if rows < 30:
        return None
    counts = np.bincount(codes, minlength=bins)
    if ordered:
        # Ranks: one far value would hide how the others follow each other.
        ranks = np.cumsum(counts) - counts / 2
        series = ranks[codes][None, :]
    else:
        series = (np.argsort(-counts, kind="stable")[:FREQUENT][:, None] == codes).astype(np.float64)
    series = series - series.mean(axis=1, keepdims=True)
    size = 1 << (2 * rows - 1).bit_length()
    power = np.abs(np.fft.rfft(series, size)) ** 2
    covariances = np.fft.irfft(power.sum(axis=0), size)[: rows // 2]
    return covariances / covariances[0] if covariances[0] > 0 else None
