"""Owns the metric formulas: scikit-learn's definitions over weighted rows, for many weightings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Formula = Callable[[FloatArray], FloatArray]
"""Takes row weights of shape [b, n] (how often each row counts), gives the metric of each: shape [b]."""


@dataclass(frozen=True)
class ClassAnswers:
    """What a classifier answered, beside the truth; a class it never saw has a column of zeros.

    Args:
        truth: True class codes, shape [n].
        codes: Answered class codes, shape [n].
        probabilities: Shape [n, k], in the order of the codes; None where the model has none.
    """

    truth: IntArray
    codes: IntArray
    probabilities: FloatArray | None


@dataclass(frozen=True)
class ValueAnswers:
    """What a regressor answered, beside the truth: both of shape [n]."""

    truth: FloatArray
    values: FloatArray


Answers = ClassAnswers | ValueAnswers


def metric_formula(metric: str, answers: Answers) -> Formula:
    """Prepare a metric for *answers*: sorting is done here, once, and not for each weighting.

    ``roc_auc`` and ``average_precision`` of two classes take the last as positive; of more, they are the
    plain mean, over the classes that occur, of each against the rest. ``f1`` is the macro mean. A true class
    that the model never saw counts as wrong, with a probability clipped to float64's epsilon in ``log_loss``.
    ``r2`` of a constant target is 1 where the model is exact, else 0, even for a single row.

    Args:
        metric: One of scikit-learn's names, fit for the kind of answers.
        answers: What the model answered; classifiers' probabilities must be there for metrics that need them.

    Raises:
        KeyError: *metric* doesn't fit the answers, or needs probabilities and there are none.
        ValueError: ``roc_auc`` of rows that are all of one class.
    """
    if isinstance(answers, ValueAnswers):
        return _BY_VALUES[metric](answers.truth, answers.values)
    if answers.probabilities is None or metric in _BY_LABELS:
        return _BY_LABELS[metric](answers)
    return _BY_PROBABILITIES[metric](answers.truth, answers.probabilities)


def roc_points(positive: npt.NDArray[np.bool_], scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give false and true positive rates at each distinct score, from (0, 0) to (1, 1).

    Args:
        positive: Which rows are positive, shape [n]; both kinds occur.
        scores: Shape [n].
    """
    order = np.argsort(-scores, kind="stable")
    ends = _group_ends(scores[order])
    hits = np.cumsum(positive[order])[ends]
    alarms = ends + 1 - hits
    start = np.zeros(1)
    return np.concatenate([start, alarms / alarms[-1]]), np.concatenate([start, hits / hits[-1]])


def _mean_of(losses: FloatArray) -> Formula:
    return lambda weights: _dot(weights, losses) / weights.sum(axis=1)


def _dot(weights: FloatArray, values: FloatArray) -> FloatArray:
    # Neither einsum nor BLAS: the last bits of their sums depend on the rows beside a row, or on threads.
    dotted: FloatArray = (weights * values).sum(axis=1)
    return dotted


def _group_ends(ordered: FloatArray) -> IntArray:
    return np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1).astype(np.int64)


def _mean_over(formulas: Iterable[Formula]) -> Formula:
    parts = tuple(formulas)

    def mean(weights: FloatArray) -> FloatArray:
        total = np.zeros(weights.shape[0])
        for part in parts:
            total += part(weights)
        return total / len(parts)

    return mean


def _accuracy(answers: ClassAnswers) -> Formula:
    return _mean_of((answers.truth == answers.codes).astype(np.float64))


def _balanced_accuracy(answers: ClassAnswers) -> Formula:
    def balanced(weights: FloatArray) -> FloatArray:
        right, true, _ = _class_sums(answers, weights)
        occurs = true > 0
        recalls = np.divide(right, true, out=np.zeros_like(right), where=occurs)
        mean: FloatArray = recalls.sum(axis=1) / occurs.sum(axis=1)
        return mean

    return balanced


def _f1(answers: ClassAnswers) -> Formula:
    def macro_f1(weights: FloatArray) -> FloatArray:
        right, true, answered = _class_sums(answers, weights)
        occurs = true + answered > 0
        scores = np.divide(2 * right, true + answered, out=np.zeros_like(right), where=occurs)
        mean: FloatArray = scores.sum(axis=1) / occurs.sum(axis=1)
        return mean

    return macro_f1


def _class_sums(answers: ClassAnswers, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    classes = int(max(answers.truth.max(), answers.codes.max())) + 1
    right = weights * (answers.truth == answers.codes)
    return (
        _sum_by(answers.truth, right, classes),
        _sum_by(answers.truth, weights, classes),
        _sum_by(answers.codes, weights, classes),
    )


def _sum_by(codes: IntArray, weights: FloatArray, classes: int) -> FloatArray:
    return np.stack([np.bincount(codes, weights=row, minlength=classes) for row in weights])


def _log_loss(truth: IntArray, probabilities: FloatArray) -> Formula:
    epsilon = float(np.finfo(np.float64).eps)
    given = probabilities[np.arange(truth.size), truth]
    return _mean_of(-np.log(np.clip(given, epsilon, 1 - epsilon)))


def _brier_score_loss(truth: IntArray, probabilities: FloatArray) -> Formula:
    squares = np.square(probabilities).sum(axis=1)
    given = probabilities[np.arange(truth.size), truth]
    losses = squares - np.square(given) + np.square(1 - given)
    # scikit-learn keeps two classes in [0, 1] and more in [0, 2].
    return _mean_of(losses / 2 if probabilities.shape[1] == 2 else losses)


def _roc_auc(truth: IntArray, probabilities: FloatArray) -> Formula:
    if np.unique(truth).size == 1:
        raise ValueError("roc_auc needs rows of at least two classes")
    return _one_against_rest(_area_under_roc, truth, probabilities)


def _average_precision(truth: IntArray, probabilities: FloatArray) -> Formula:
    return _one_against_rest(_precision_mean, truth, probabilities)


def _one_against_rest(
    prepare: Callable[[npt.NDArray[np.bool_], FloatArray], Formula],
    truth: IntArray,
    probabilities: FloatArray,
) -> Formula:
    if probabilities.shape[1] == 2:
        return prepare(truth == 1, probabilities[:, 1])
    return _mean_over(prepare(truth == code, probabilities[:, code]) for code in np.unique(truth))


def _area_under_roc(positive: npt.NDArray[np.bool_], scores: FloatArray) -> Formula:
    others = np.flatnonzero(~positive)
    others = others[np.argsort(scores[others], kind="stable")]
    hits = np.flatnonzero(positive)
    hits = hits[np.argsort(scores[hits], kind="stable")]
    below = np.searchsorted(scores[others], scores[hits], side="left")
    not_above = np.searchsorted(scores[others], scores[hits], side="right")
    tied = bool((below != not_above).any())

    def area(weights: FloatArray) -> FloatArray:
        passed = np.zeros((weights.shape[0], others.size + 1))
        np.cumsum(weights.take(others, axis=1), axis=1, out=passed[:, 1:])
        wins = passed.take(below, axis=1)
        if tied:
            wins = (wins + passed.take(not_above, axis=1)) / 2
        hit_weights = weights.take(hits, axis=1)
        pairs = hit_weights.sum(axis=1) * passed[:, -1]
        share: FloatArray = _dot(hit_weights, wins) / pairs
        return share

    return area


def _precision_mean(positive: npt.NDArray[np.bool_], scores: FloatArray) -> Formula:
    order = np.argsort(-scores, kind="stable")
    ends = _group_ends(scores[order])
    positive_in_order = positive[order].astype(np.float64)

    def mean(weights: FloatArray) -> FloatArray:
        ordered = weights.take(order, axis=1)
        taken = np.cumsum(ordered, axis=1).take(ends, axis=1)
        hits = np.cumsum(ordered * positive_in_order, axis=1).take(ends, axis=1)
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        steps = np.diff(hits, axis=1, prepend=0.0)
        return _dot(steps, precision) / hits[:, -1]

    return mean


def _mean_absolute_error(truth: FloatArray, values: FloatArray) -> Formula:
    return _mean_of(np.abs(values - truth))


def _root_mean_squared_error(truth: FloatArray, values: FloatArray) -> Formula:
    mean_of_squares = _mean_of(np.square(values - truth))

    def root(weights: FloatArray) -> FloatArray:
        roots: FloatArray = np.sqrt(mean_of_squares(weights))
        return roots

    return root


def _mean_absolute_percentage_error(truth: FloatArray, values: FloatArray) -> Formula:
    epsilon = float(np.finfo(np.float64).eps)
    return _mean_of(np.abs(values - truth) / np.maximum(np.abs(truth), epsilon))


def _r2(truth: FloatArray, values: FloatArray) -> Formula:
    errors = np.square(truth - values)
    centred = truth - truth.mean()
    squares = np.square(centred)

    def explained(weights: FloatArray) -> FloatArray:
        unexplained = _dot(weights, errors)
        around_centre = _dot(weights, squares)
        spread = around_centre - np.square(_dot(weights, centred)) / weights.sum(axis=1)
        constant = spread <= 1e-12 * around_centre  # all that cancellation leaves of a zero
        share: FloatArray = 1 - np.divide(unexplained, spread, out=np.ones_like(spread), where=~constant)
        share[constant & (unexplained == 0)] = 1.0
        return share

    return explained


_BY_LABELS: dict[str, Callable[[ClassAnswers], Formula]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
}
_BY_PROBABILITIES: dict[str, Callable[[IntArray, FloatArray], Formula]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "brier_score_loss": _brier_score_loss,
}
_BY_VALUES: dict[str, Callable[[FloatArray, FloatArray], Formula]] = {
    "mean_absolute_error": _mean_absolute_error,
    "root_mean_squared_error": _root_mean_squared_error,
    "mean_absolute_percentage_error": _mean_absolute_percentage_error,
    "r2": _r2,
}
