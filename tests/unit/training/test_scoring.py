from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evertrain.columns import InputSpec
from evertrain.evaluation.scores import ClassAnswers, ValueAnswers, metric_formula
from evertrain.metrics import METRICS, metrics_for
from evertrain.training.rows import TrainingRows
from evertrain.training.scoring import score_pipeline


class Answering:
    """A pipeline whose answers were written down before."""

    def __init__(self, answers: np.ndarray, probabilities: np.ndarray | None = None) -> None:
        self.answers, self.probabilities = answers, probabilities

    def predict(self, frame: Any) -> np.ndarray:
        return self.answers

    def predict_proba(self, frame: Any) -> np.ndarray | None:
        return self.probabilities


def rows(target: np.ndarray) -> TrainingRows:
    count = len(target)
    return TrainingRows(
        inputs={"in_000": np.zeros(count, dtype=np.float32)},
        specs=(InputSpec("in_000", "float"),),
        target=target,
        is_classification=target.dtype.kind == "i",
        weights=np.arange(count, dtype=np.float64),
        newest=np.zeros(count, dtype=bool),
    )


@pytest.mark.parametrize("metric", metrics_for("multiclass_classification"))
@pytest.mark.parametrize(("classes", "occurring"), [(2, 2), (4, 4), (4, 3)])
def test_classes_are_scored_as_when_a_candidate_is_judged(metric: str, classes: int, occurring: int) -> None:
    """Every metric of a search is the evaluation's, weights aside, even where a class doesn't occur."""
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, occurring, 200)
    probabilities = rng.dirichlet(np.ones(classes), 200)
    codes = probabilities.argmax(axis=1)
    found = score_pipeline(Answering(codes, probabilities), METRICS[metric].name, rows(truth))
    expected = metric_formula(metric, ClassAnswers(truth, codes, probabilities))(np.ones((1, 200)))[0]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", metrics_for("regression"))
def test_numbers_are_scored_as_when_a_candidate_is_judged(metric: str) -> None:
    """A regressor's answers may come as one column; the metric is the evaluation's."""
    rng = np.random.default_rng(0)
    truth, values = rng.normal(size=100), rng.normal(size=100)
    found = score_pipeline(Answering(values.reshape(-1, 1)), METRICS[metric].name, rows(truth))
    expected = metric_formula(metric, ValueAnswers(truth, values))(np.ones((1, 100)))[0]
    assert found == pytest.approx(expected, abs=1e-9)


def test_answers_that_arent_finite_are_refused() -> None:
    """A number that isn't finite is no score."""
    with pytest.raises(ValueError, match="NaN"):
        score_pipeline(Answering(np.full(3, np.nan)), "r2", rows(np.arange(3.0)))
