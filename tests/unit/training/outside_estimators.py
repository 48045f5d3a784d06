"""Owns an estimator of a package that an installation allows, and whose type no list of ours knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class OwnMean(RegressorMixin, BaseEstimator):
    """Answers the mean of what it learnt."""

    def fit(self, rows: Any, target: Any, sample_weight: Any = None) -> OwnMean:
        """Learn from *target*, shape (n,)."""
        self.mean_ = float(np.average(target, weights=sample_weight))
        return self

    def predict(self, rows: Any) -> np.ndarray:
        """Answer the mean for each row, shape (n,)."""
        return np.full(len(rows), self.mean_)
