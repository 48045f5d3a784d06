"""Owns the names of the metrics, the tasks they fit, their direction, and what they need of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evertrain.records import Task

MetricName = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier_score_loss",
    "mean_absolute_error",
    "root_mean_squared_error",
    "mean_absolute_percentage_error",
    "r2",
]

CLASSIFICATION: tuple[Task, ...] = ("binary_classification", "multiclass_classification")
REGRESSION: tuple[Task, ...] = ("regression",)


@dataclass(frozen=True)
class Metric:
    """One of scikit-learn's metrics, by its name there."""

    name: MetricName
    tasks: tuple[Task, ...]
    greater_is_better: bool
    needs_probabilities: bool = False

    @property
    def sign(self) -> int:
        """+1 where greater is better, else -1: a gain is ``sign * (challenger - champion)``."""
        return 1 if self.greater_is_better else -1


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", CLASSIFICATION, True),
        Metric("balanced_accuracy", CLASSIFICATION, True),
        Metric("f1", CLASSIFICATION, True),
        Metric("roc_auc", CLASSIFICATION, True, needs_probabilities=True),
        Metric("average_precision", CLASSIFICATION, True, needs_probabilities=True),
        Metric("log_loss", CLASSIFICATION, False, needs_probabilities=True),
        Metric("brier_score_loss", CLASSIFICATION, False, needs_probabilities=True),
        Metric("mean_absolute_error", REGRESSION, False),
        Metric("root_mean_squared_error", REGRESSION, False),
        Metric("mean_absolute_percentage_error", REGRESSION, False),
        Metric("r2", REGRESSION, True),
    )
}

DEFAULT_METRICS: dict[Task, tuple[MetricName, ...]] = {
    "binary_classification": ("roc_auc", "log_loss"),
    "multiclass_classification": ("accuracy", "log_loss"),
    "regression": ("mean_absolute_error", "r2"),
}


def metrics_for(task: Task) -> tuple[str, ...]:
    """Name the metrics that fit *task*."""
    return tuple(name for name, metric in METRICS.items() if task in metric.tasks)
