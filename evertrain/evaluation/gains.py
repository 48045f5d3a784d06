"""Owns the intervals of paired gains: exact for accuracy, from the bootstrap's spread for all else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evertrain.evaluation.scores import Answers, ClassAnswers, FloatArray

Interval = tuple[float, float]


class PairedGain(NamedTuple):
    """A gain, and its two-sided interval by confidence."""

    gain: float
    interval: Callable[[float], Interval]


def spread_gain(gain: float, draws: FloatArray) -> PairedGain:
    """Give the gain that a metric's paired resamples tell of.

    The interval is the gain and Student's t times the draws' standard deviation on either side: of a
    difference of two models, which is near normal, it covers as well as the draws' percentiles do (G5, G6),
    and it reaches confidences that a thousand draws have no percentiles for: Holm's over many slices, and
    those of late looks at a hold-out.

    Args:
        gain: The difference on the rows themselves, in the metric's good direction.
        draws: The same difference on each resample, shape [resamples].
    """
    spread = float(draws.std(ddof=1))

    def interval(confidence: float) -> Interval:
        from scipy.special import stdtrit

        reach = spread * float(stdtrit(draws.size - 1, (1 + confidence) / 2))
        # Adding 0.0 turns the -0.0 of equal models into 0.0.
        return gain - reach + 0.0, gain + reach + 0.0

    return PairedGain(gain + 0.0, interval)


def accuracy_gain(ours: Answers, theirs: Answers) -> PairedGain:
    """Give the gain in accuracy with the exact interval of `exact_interval`.

    Args:
        ours: The challenger's answers.
        theirs: The champion's, on the same rows.
    """
    assert isinstance(ours, ClassAnswers)
    assert isinstance(theirs, ClassAnswers)
    right, rival = ours.codes == ours.truth, theirs.codes == theirs.truth
    won, lost, rows = int((right & ~rival).sum()), int((rival & ~right).sum()), right.size
    return PairedGain((won - lost) / rows, lambda confidence: exact_interval(won, lost, rows, confidence))


def exact_interval(won: int, lost: int, rows: int, confidence: float) -> Interval:
    """Give the interval of a difference of two accuracies on the same rows.

    Given how many rows only one model gets right, the number that the challenger wins is binomial,
    and Clopper and Pearson's interval of its share (Biometrika 26, 1934) excludes one half exactly where
    McNemar's exact test (Psychometrika 12, 1947) rejects: the interval excludes 0 if and only if that test's
    two-sided p is under 1 - confidence. The difference is (2 * share - 1) * (rows that differ / rows); how
    far the second factor may be off is added by variance estimates recovery (Zou & Donner, Statistics in
    Medicine 27, 2008), on the log scale towards 0, so that it never moves an end across 0.

    Args:
        won: Rows that only the challenger gets right.
        lost: Rows that only the champion gets right.
        rows: All rows.
        confidence: Two-sided.

    Returns:
        Low and high; 0 and 0 where no row differs.
    """
    differ = won + lost
    if not differ:
        return 0.0, 0.0
    share = _clopper_pearson(won, differ, confidence)
    size = _clopper_pearson(differ, rows, confidence)
    edge, rate = (won - lost) / differ, differ / rows
    # The low end of a gain is, with its sign turned, the high end of the champion's gain.
    low = _lower_end(edge, 2 * share[0] - 1, rate, size)
    high = -_lower_end(-edge, 1 - 2 * share[1], rate, size)
    return low + 0.0, high + 0.0


def _lower_end(edge: float, lowest: float, rate: float, size: Interval) -> float:
    gain = edge * rate
    if lowest > 0:
        nearer = math.hypot(math.log(edge / lowest), math.log(rate / size[0]))
        return gain * math.exp(-nearer)
    if edge >= 0:
        return lowest * rate
    return gain - math.hypot((edge - lowest) * rate, edge * (size[1] - rate))


def _clopper_pearson(hits: int, tries: int, confidence: float) -> Interval:
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, tries - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, tries - hits, 1 - tail)) if hits < tries else 1.0
    return low, high


def same_rows(answers: Answers, rows: np.ndarray) -> Answers:
    """Keep of *answers* those to *rows* (their places)."""
    if isinstance(answers, ClassAnswers):
        kept = None if answers.probabilities is None else answers.probabilities[rows]
        return ClassAnswers(answers.truth[rows], answers.codes[rows], kept)
    return type(answers)(answers.truth[rows], answers.values[rows])
