"""Owns how a search scores a fitted pipeline: scikit-learn's own metrics, as the evaluation means them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evertrain.metrics import METRICS, MetricName
from evertrain.native import as_frame
from evertrain.quiet import quiet
from evertrain.training.rows import TrainingRows


def score_pipeline(pipeline: Any, metric: MetricName, rows: TrainingRows) -> float:
    """Score a fitted pipeline; every row counts alike, as when a candidate is judged.

    Args:
        pipeline: Has learnt from every class, so that its probabilities' columns are the class codes.
        metric: One that fits the rows' task.
        rows: What it is judged on: of two classes the code 1 is the positive one.

    Raises:
        ValueError: An answer isn't finite, or the rows can't be scored.
    """
    frame = as_frame(rows.inputs)
    with quiet():
        if METRICS[metric].needs_probabilities:
            probabilities = np.asarray(pipeline.predict_proba(frame), dtype=np.float64)
            return _score_probabilities(metric, rows.target, probabilities)
        return _score_answers(metric, rows.target, np.asarray(pipeline.predict(frame)).reshape(-1))


def _score_answers(metric: MetricName, truth: np.ndarray, answers: np.ndarray) -> float:
    from sklearn import metrics

    if metric == "f1":
        return float(metrics.f1_score(truth, answers, average="macro"))
    names = {"accuracy": "accuracy_score", "balanced_accuracy": "balanced_accuracy_score", "r2": "r2_score"}
    return float(getattr(metrics, names.get(metric, metric))(truth, answers))


def _score_probabilities(metric: MetricName, truth: np.ndarray, answers: np.ndarray) -> float:
    from sklearn import metrics

    codes = list(range(answers.shape[1]))
    if metric == "log_loss":
        return float(metrics.log_loss(truth, answers, labels=codes))
    if metric == "brier_score_loss":
        return float(metrics.brier_score_loss(truth, answers, labels=codes))
    by_name: dict[str, Callable[..., Any]] = {
        "roc_auc": metrics.roc_auc_score,
        "average_precision": metrics.average_precision_score,
    }
    positives = [1] if len(codes) == 2 else np.unique(truth).tolist()
    return float(np.mean([by_name[metric](truth == code, answers[:, code]) for code in positives]))
