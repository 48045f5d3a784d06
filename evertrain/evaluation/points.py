"""Owns a model's metrics on rows by themselves: no rival, no interval, no refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evertrain.evaluation.answers import Truth, ask
from evertrain.evaluation.bootstrap import evaluate_once
from evertrain.evaluation.scores import Answers, ClassAnswers, metric_formula
from evertrain.metrics import METRICS

if TYPE_CHECKING:
    from evertrain.bundles import Bundle

NEED_TWO_CLASSES = ("roc_auc", "average_precision")


def score_points(
    bundle: Bundle, columns: Mapping[str, np.ndarray], target: np.ndarray, metrics: Sequence[str]
) -> dict[str, float]:
    """Measure *bundle* on labelled rows.

    Args:
        bundle: The model.
        columns: Raw columns by name, each of shape [n]; holds the model's features.
        target: What really happened, shape [n]; none missing, at least one.
        metrics: Names that fit the model's task.

    Returns:
        By name, in the order of *metrics*; without those that need probabilities which the model hasn't, or
        rows of two classes where all are of one.

    Raises:
        InvalidInput: A column doesn't hold what the model takes.
        ModelFailed: The model raised, or answered with a number that isn't finite.
    """
    truth = Truth(target, bundle.signature.classes)
    answers = ask(bundle, columns, truth)
    one_class = bool(truth.names) and np.unique(truth.codes).size == 1
    possible = [name for name in metrics if _has_what_it_needs(name, answers)]
    return {
        name: evaluate_once(metric_formula(name, answers), len(target))
        for name in possible
        if not (one_class and name in NEED_TWO_CLASSES)
    }


def _has_what_it_needs(metric: str, answers: Answers) -> bool:
    if not METRICS[metric].needs_probabilities:
        return True
    return isinstance(answers, ClassAnswers) and answers.probabilities is not None
