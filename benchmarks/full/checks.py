"""Owns the streams that drift checks are proved on: 20 columns that change, or don't, row after row."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from evertrain.drift import measure_drift, plan_drift
from evertrain.drift_records import DriftMeasured, DriftPlan
from evertrain.records import Feature

NUMBERS, CATEGORIES, LEVELS = 12, 8, 20
FEATURES = (
    *(Feature(name=f"n{place}", kind="numeric", type="float") for place in range(NUMBERS)),
    *(Feature(name=f"c{place}", kind="categorical", type="integer") for place in range(CATEGORIES)),
)
WEIGHTS = np.linspace(1, 3, LEVELS)
CUTS = [NormalDist().inv_cdf(share) for share in np.cumsum(WEIGHTS / WEIGHTS.sum())[:-1]]


class Rows:
    """Columns in memory, read as a check reads its rows.

    Args:
        columns: By name, float64, shape (rows,); categories as numbers from 0 on.
    """

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self.columns = columns
        self.names = tuple(columns)
        self.rows = len(next(iter(columns.values())))

    def column(self, name: str) -> np.ndarray:
        """One column's values."""
        return self.columns[name]

    def count_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct values and in how many rows each stands."""
        return np.unique(self.columns[name], return_counts=True)

    def code_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct values, and which of them each row has."""
        return np.unique(self.columns[name], return_inverse=True)

    def cut(self, start: int, stop: int) -> Rows:
        """Some consecutive rows."""
        return Rows({name: values[start:stop] for name, values in self.columns.items()})


def make_latent(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Draw what a stream's columns are made of, shape [rows, columns]."""
    return rng.normal(size=(rows, NUMBERS + CATEGORIES))


def make_rows(rng: np.random.Generator, rows: int, phi: float = 0.0) -> Rows:
    """Make a stationary stream: each column follows itself with autocorrelation *phi*, none another."""
    latent = make_latent(rng, rows)
    if phi:
        latent[1:] *= np.sqrt(1 - phi**2)
        for row in range(1, rows):
            latent[row] += phi * latent[row - 1]
    return spell_rows(latent)


def spell_rows(latent: np.ndarray) -> Rows:
    """Make columns of what ``make_latent`` drew.

    Numbers are standard normal; categories cut such numbers into 20 levels, the greatest three times as
    frequent as the least.
    """
    columns = {f"n{place}": latent[:, place].copy() for place in range(NUMBERS)}
    for place in range(CATEGORIES):
        columns[f"c{place}"] = np.searchsorted(CUTS, latent[:, NUMBERS + place]).astype(np.float64)
    return Rows(columns)


def plan(reference: Rows) -> DriftPlan:
    """Plan as packaging does."""
    return plan_drift(FEATURES, reference)


def check(planned: DriftPlan, reference: Rows, current: Rows) -> DriftMeasured:
    """Check as ``evertrain drift`` does; the strictest share: one drifted column is a drift."""
    return measure_drift(planned, reference, current, max_share=0.0)
