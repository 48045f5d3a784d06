"""Owns how a challenger's answer to a request is held against stable's; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evertrain.columns import encode_target
from evertrain.errors import ModelFailed
from evertrain.predictions import ALIKE, Prediction
from evertrain.records import Label

FAR = 0.1
"""Numbers that lie further apart than this share of the spread of stable's answers disagree."""
SLOWER = 1.5
"""A model that takes so many times as long is slower; less may be the two processes' caches alone."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one model answered to a request.

    Attributes:
        prediction: For n rows.
        classes: In the order of its codes; None where it answers with numbers.
        seconds: How long the model took.
    """

    prediction: Prediction
    classes: tuple[Label, ...] | None
    seconds: float


class Comparison(NamedTuple):
    """How two answers to one request compare.

    Attributes:
        rows: That were compared.
        disagreeing: Rows whose labels differ; of numbers, those further apart than ``FAR`` of their scale.
        score_shift: The sum over the rows of challenger minus stable: of two classes the positive one's
            probability, of more classes that of the class that stable answered, else the number; 0 where one
            of them has no probabilities.
        is_slower: Whether the challenger took over ``SLOWER`` times as long.
    """

    rows: int
    disagreeing: int
    score_shift: float
    is_slower: bool


@dataclass(frozen=True)
class Spread:
    """How far stable's numbers have lain apart so far.

    One request often has one row, which has no spread of its own.

    Attributes:
        rows: How many numbers.
        mean: Theirs.
        squares: The sum of their squared distances from it.
    """

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def widen(self, values: np.ndarray) -> Spread:
        """The spread with *values*, shape (n,), as well (Chan, Golub & LeVeque 1983)."""
        if not len(values):
            return self
        mean = float(np.mean(values))
        squares = float(np.sum((values - mean) ** 2))
        rows, apart = self.rows + len(values), mean - self.mean
        return Spread(
            rows,
            self.mean + apart * len(values) / rows,
            self.squares + squares + apart * apart * self.rows * len(values) / rows,
        )

    @property
    def scale(self) -> float:
        """Their standard deviation; their size where they are all alike, 1 where they are all 0."""
        deviation, size = math.sqrt(self.squares / max(self.rows, 1)), abs(self.mean)
        return (deviation if deviation > ALIKE * size else size) or 1.0


def compare_answers(stable: Answer, challenger: Answer, scale: float) -> Comparison:
    """Hold *challenger* against *stable*, row by row.

    Args:
        stable: What was answered.
        challenger: What would have been.
        scale: What a distance between numbers is measured by; see ``Spread``.

    Raises:
        ModelFailed: The challenger's answer can't be held against stable's: other rows, classes against
            numbers, or numbers too large to be told apart.
    """
    classifies = stable.prediction.codes is not None
    ours = challenger.prediction.codes if classifies else challenger.prediction.values
    theirs = stable.prediction.codes if classifies else stable.prediction.values
    if theirs is None or ours is None or ours.shape != theirs.shape:
        raise ModelFailed("The challenger's answer has another shape than stable's, or is of another task.")
    if classifies:
        different = _places(challenger, stable)[ours] != theirs
        shift = _shift_of_probabilities(stable, challenger)
    else:
        with np.errstate(over="ignore"):
            apart = ours - theirs
            different, shift = np.abs(apart) > FAR * scale, float(np.sum(apart))
    if not math.isfinite(shift):
        raise ModelFailed("The challenger's numbers lie further from stable's than 64 bits can tell.")
    is_slower = challenger.seconds > SLOWER * stable.seconds
    return Comparison(len(theirs), int(np.sum(different)), shift, is_slower)


def _places(one: Answer, other: Answer) -> np.ndarray:
    """For each class of *one* its place in *other*; -1 where that has no such class."""
    return encode_target(one.classes or (), other.classes or ())


def _shift_of_probabilities(stable: Answer, challenger: Answer) -> float:
    theirs, ours = stable.prediction.probabilities, challenger.prediction.probabilities
    if theirs is None or ours is None:
        return 0.0
    rows = np.arange(len(theirs))
    codes = stable.prediction.codes
    watched = np.full(len(theirs), 1) if theirs.shape[1] == 2 else np.asarray(codes)
    places = _places(stable, challenger)[watched]
    # A class that the challenger doesn't know has no probability there.
    found = np.where(places < 0, 0.0, ours[rows, places])
    return float(np.sum(found - theirs[rows, watched]))
