from __future__ import annotations

from typing import get_args

import pytest
from sklearn.metrics import get_scorer

from evertrain.metrics import DEFAULT_METRICS, METRICS, MetricName, metrics_for

SCORERS = {"f1": "f1_macro", "brier_score_loss": "neg_brier_score"}


def test_every_name_is_a_metric():
    """The names that a configuration may hold are those that have facts."""
    assert set(get_args(MetricName)) == set(METRICS)
    assert all(name == metric.name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", METRICS)
def test_direction_is_sklearns(name):
    """A metric is to lower exactly where scikit-learn turns its sign to make a score of it."""
    metric = METRICS[name]
    scorer = get_scorer(SCORERS.get(name, name if metric.greater_is_better else f"neg_{name}"))
    assert metric.sign == scorer._sign


def test_metrics_fit_their_tasks():
    """Each task has its own metrics, its defaults among them."""
    assert set(metrics_for("regression")).isdisjoint(metrics_for("binary_classification"))
    assert all(set(names) <= set(metrics_for(task)) for task, names in DEFAULT_METRICS.items())
    assert DEFAULT_METRICS["regression"][0] == "mean_absolute_error"
