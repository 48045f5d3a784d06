"""Owns what a model answers and how far two answers to the same rows lie apart (numpy only)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evertrain.records import Label, Signature

# A spread below this share of the values' size is rounding.
ALIKE = 1e-9


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model's answer to n rows.

    Attributes:
        codes: Classifiers: int64, shape (n,), places in the signature's classes; else None.
        values: Regressors: float64, shape (n,); else None.
        probabilities: float64, shape (n, k), columns in the order of the signature's classes; None where the
            model has none.
    """

    codes: np.ndarray | None = None
    values: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def labels(self, signature: Signature) -> list[Label]:
        """The answers as plain Python values: classes in the training data's own type, or floats."""
        if self.codes is None:
            return [] if self.values is None else self.values.tolist()
        classes = signature.classes or ()
        return [classes[code] for code in self.codes.tolist()]

    @property
    def is_finite(self) -> bool:
        """Whether every number of the answer is finite."""
        numbers = self.values if self.probabilities is None else self.probabilities
        return numbers is None or bool(np.isfinite(numbers).all())


def join_predictions(parts: Sequence[Prediction]) -> Prediction:
    """Put the answers to consecutive rows together; *parts* are of one model and at least one."""
    if len(parts) == 1:
        return parts[0]
    return Prediction(
        codes=_concatenate([part.codes for part in parts]),
        values=_concatenate([part.values for part in parts]),
        probabilities=_concatenate([part.probabilities for part in parts]),
    )


def _concatenate(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    found = [array for array in arrays if array is not None]
    return np.concatenate(found) if found else None


Runner = Callable[[Mapping[str, np.ndarray]], Prediction]


class Difference(NamedTuple):
    """How far an answer lies from a reference.

    ``largest`` is the greatest absolute difference of a probability; for regression the greatest difference
    in units of the reference's standard deviation, or of its size where all its values are alike.
    """

    labels_different: int
    largest: float


def compare_predictions(reference: Prediction, found: Prediction, tolerance: float) -> Difference:
    """Hold *found* against *reference*, row by row.

    A label counts as different unless the reference itself is undecided there: its two best classes lie
    within twice *tolerance* of each other.
    """
    if reference.values is not None:
        return Difference(0, _relative_difference(reference.values, found.values))
    different = reference.codes != found.codes
    if reference.probabilities is None:
        return Difference(int(np.sum(different)), 0.0)
    different &= _margins(reference.probabilities) > 2 * tolerance
    return Difference(int(np.sum(different)), _largest_gap(reference.probabilities, found.probabilities, 1.0))


def _relative_difference(reference: np.ndarray, found: np.ndarray | None) -> float:
    # Not by the values' own size: an error of 1 in 10 million is small, unless all values lie within 1.
    size, spread = float(np.max(np.abs(reference), initial=0.0)), float(np.std(reference))
    return _largest_gap(reference, found, (spread if spread > ALIKE * size else size) or 1.0)


def _largest_gap(reference: np.ndarray, found: np.ndarray | None, scale: float) -> float:
    if found is None or found.shape != reference.shape:
        return float("inf")
    gaps = np.abs(reference - found) / scale
    return float(np.max(np.where(np.isnan(gaps), np.inf, gaps), initial=0.0))


def _margins(probabilities: np.ndarray) -> np.ndarray:
    if probabilities.shape[1] == 1:
        return np.full(len(probabilities), np.inf)
    best = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])
