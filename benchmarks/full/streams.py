"""Owns the streams with one drift that the proofs of detection watch: SEA, Hyperplane and AGRAWAL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

LENGTH, WARM, DRIFT_AT = 4_000, 1_000, 2_200
NOISE = 0.05


class Stream:
    """Rows in time order whose concept changes once.

    Args:
        name: The generator's.
        inputs: Shape [n, k].
        target: Shape [n], of 0 and 1.
        make_model: Makes an estimator.
    """

    def __init__(
        self, name: str, inputs: np.ndarray, target: np.ndarray, make_model: Callable[[], Any]
    ) -> None:
        self.name, self._inputs, self._target, self._make = name, inputs, target, make_model

    def learn(self, first: int, end: int) -> Any:
        """Fit a model on the rows from *first* up to *end*."""
        return self._make().fit(self._inputs[first:end], self._target[first:end])

    def right(self, model: Any, first: int, end: int) -> np.ndarray:
        """Say which of those rows *model* answers rightly, shape [end - first]."""
        right: np.ndarray = model.predict(self._inputs[first:end]) == self._target[first:end]
        return right

    def wrong(self, model: Any, first: int, end: int) -> np.ndarray:
        """Say which it doesn't."""
        return ~self.right(model, first, end)


def make_stream(number: int, rng: np.random.Generator) -> Stream:
    """Make a stream of the generator that *number* falls on."""
    name, make = list(GENERATORS.items())[number % len(GENERATORS)]
    return make(name, rng)


def make_sea(name: str, rng: np.random.Generator) -> Stream:
    """SEA (Street and Kim, KDD 2001): x1 + x2 up to a threshold, which moves from 8 to 9.5 or from 9 to 7."""
    from sklearn.linear_model import LogisticRegression

    inputs = rng.uniform(0, 10, (LENGTH, 3))
    before, after = [(8.0, 9.5), (9.0, 7.0), (7.0, 9.5)][rng.integers(3)]
    threshold = np.where(np.arange(LENGTH) < DRIFT_AT, before, after)
    return Stream(name, inputs, _flip(rng, inputs[:, 0] + inputs[:, 1] <= threshold), LogisticRegression)


def make_hyperplane(name: str, rng: np.random.Generator) -> Stream:
    """A rotating hyperplane (Hulten et al., KDD 2001): half of ten weights are drawn anew."""
    from sklearn.linear_model import LogisticRegression

    inputs = rng.uniform(0, 1, (LENGTH, 10))
    before, after = rng.uniform(0, 1, (2, 10))
    after = np.where(np.arange(10) < 5, after, before)
    before[:2], after[:2] = (0.1, 0.9), (0.9, 0.1)
    sums = [inputs @ weights > weights.sum() / 2 for weights in (before, after)]
    return Stream(name, inputs, _flip(rng, _switch(*sums)), LogisticRegression)


def make_agrawal(name: str, rng: np.random.Generator) -> Stream:
    """AGRAWAL (Agrawal et al., TKDE 1993): from its first function (age) to its second (and salary)."""
    from sklearn.tree import DecisionTreeClassifier

    salary, age = rng.uniform(20_000, 150_000, LENGTH), rng.integers(20, 81, LENGTH)
    inputs = np.column_stack([salary, age, rng.integers(0, 5, LENGTH), rng.uniform(0, 5e5, LENGTH)])
    first = (age < 40) | (age >= 60)
    low = np.select([age < 40, age < 60], [50_000, 75_000], 25_000)
    second = (salary >= low) & (salary <= low + 50_000)
    return Stream(
        name,
        inputs,
        _flip(rng, _switch(first, second)),
        lambda: DecisionTreeClassifier(min_samples_leaf=15, random_state=0),
    )


def _switch(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.where(np.arange(LENGTH) < DRIFT_AT, before, after)


def _flip(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    return (truth ^ (rng.random(LENGTH) < NOISE)).astype(np.int64)


GENERATORS: dict[str, Callable[[str, np.random.Generator], Stream]] = {
    "sea": make_sea,
    "hyperplane": make_hyperplane,
    "agrawal": make_agrawal,
}
