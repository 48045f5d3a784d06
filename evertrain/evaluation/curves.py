"""Owns the points of the diagnostic plots: ROC curves, or predictions against residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evertrain.evaluation.scores import Answers, ClassAnswers, FloatArray, ValueAnswers, roc_points
from evertrain.records import Curve

MOST_ROC_POINTS = 200
MOST_ROC_CLASSES = 10
MOST_RESIDUALS = 500


def draw_curves(models: Mapping[str, Answers], names: Sequence[str], *, seed: int) -> tuple[Curve, ...]:
    """Draw what a reader looks at first.

    Args:
        models: Answers by the model's name, the challenger first.
        names: The classes' spellings, in the order of the codes.
        seed: Seeds the sample of residuals.

    Returns:
        Of two classes one ROC curve a model; of more, one a class (the ten most frequent) of the challenger;
        of regression up to 500 of the challenger's residuals. None without probabilities.
    """
    label, challenger = next(iter(models.items()))
    if isinstance(challenger, ValueAnswers):
        return (_residuals(label, challenger, seed),)
    if len(names) == 2:
        return tuple(
            _roc(model, answers.truth == 1, answers.probabilities[:, 1])
            for model, answers in models.items()
            if isinstance(answers, ClassAnswers) and answers.probabilities is not None
        )
    return _roc_by_class(challenger, names)


def _roc_by_class(answers: ClassAnswers, names: Sequence[str]) -> tuple[Curve, ...]:
    codes, counts = np.unique(answers.truth, return_counts=True)
    if answers.probabilities is None or codes.size < 2:
        return ()
    frequent = np.sort(codes[np.argsort(-counts, kind="stable")][:MOST_ROC_CLASSES])
    return tuple(
        _roc(f"class {names[code]}", answers.truth == code, answers.probabilities[:, code])
        for code in frequent
    )


def _roc(label: str, positive: np.ndarray, scores: FloatArray) -> Curve:
    x, y = roc_points(positive, scores)
    if x.size > MOST_ROC_POINTS:
        # Spread along the curve's length, so that a steep start keeps its shape.
        marks = np.linspace(0, 2, MOST_ROC_POINTS)
        kept = np.unique(np.clip(np.searchsorted(x + y, marks), 0, x.size - 1))
        x, y = x[kept], y[kept]
    return Curve(kind="roc", label=label, x=_rounded(x), y=_rounded(y))


def _residuals(label: str, answers: ValueAnswers, seed: int) -> Curve:
    rows = np.arange(answers.truth.size)
    if rows.size > MOST_RESIDUALS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_RESIDUALS, replace=False))
    values = answers.values[rows]
    return Curve(kind="residuals", label=label, x=_rounded(values), y=_rounded(answers.truth[rows] - values))


def _rounded(numbers: FloatArray) -> tuple[float, ...]:
    return tuple(float(f"{number:.6g}") for number in numbers)
