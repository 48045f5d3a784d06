"""Owns how many columns are looked at at once: which p-value a column must have among the others."""

from __future__ import annotations

import numpy as np

LEVEL = 0.005
"""The chance that any column of unchanged rows is called drifted, all columns of a check together."""


def find_cutoffs(p_values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """The p-value below or at which each column is called drifted, given those of the others; shape (d,).

    Benjamini and Hochberg's step-up (J. R. Stat. Soc. B 57, 1995): among columns called drifted the expected
    share of unchanged ones is at most *level*, and so is the chance of any where none has changed. A cut-off
    is what a column's own p-value must not exceed: it is called drifted if and only if it doesn't.
    """
    columns = len(p_values)
    places = np.arange(2, columns + 1)
    cutoffs = np.empty(columns)
    for place in range(columns):
        others = np.sort(np.delete(p_values, place))
        # As if it were certain itself: it is the first, and each of the others one place further.
        reached = np.flatnonzero(others <= level * places / columns)
        cutoffs[place] = level * (reached[-1] + 2 if len(reached) else 1) / columns
    return cutoffs
