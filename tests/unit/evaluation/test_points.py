from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, roc_auc_score

from evertrain.evaluation.points import score_points
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature

FEATURES = (Feature(name="score", kind="numeric", type="float"),)


class ScoreBundle:
    """Answers each row with its own score: a probability of the class 1, or a number."""

    def __init__(self, task, has_probabilities=True):
        classes = None if task == "regression" else (0, 1)
        self.signature = Signature(task=task, target="y", features=FEATURES, classes=classes)
        self.has_probabilities = has_probabilities

    def predict(self, columns):
        scores = columns["score"]
        if self.signature.classes is None:
            return Prediction(values=scores)
        codes = (scores > 0.5).astype(np.int64)
        return Prediction(
            codes=codes,
            probabilities=np.stack([1 - scores, scores], axis=1) if self.has_probabilities else None,
        )


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.05, 0.95, 500)
    return {"score": scores}, (rng.random(500) < scores).astype(np.int64)


def test_points_are_scikit_learns(rows):
    """Metrics come in the order asked for, and are scikit-learn's own."""
    columns, target = rows
    found = score_points(
        ScoreBundle("binary_classification"), columns, target, ("log_loss", "roc_auc", "brier_score_loss")
    )
    scores = columns["score"]
    assert found == pytest.approx(
        {
            "log_loss": log_loss(target, scores),
            "roc_auc": roc_auc_score(target, scores),
            "brier_score_loss": brier_score_loss(target, scores),
        }
    )
    assert list(found) == ["log_loss", "roc_auc", "brier_score_loss"]


def test_what_cannot_be_told_is_left_out(rows):
    """Ranks need two classes, probabilities a model that has them; what is left is told."""
    columns, target = rows
    wanted = ("roc_auc", "average_precision", "log_loss", "accuracy")
    alike = np.ones_like(target)

    assert list(score_points(ScoreBundle("binary_classification"), columns, alike, wanted)) == [
        "log_loss",
        "accuracy",
    ]
    bare = ScoreBundle("binary_classification", has_probabilities=False)
    assert list(score_points(bare, columns, target, wanted)) == ["accuracy"]


def test_numbers_beyond_reckoning_are_left_out():
    """A square that overflows is no metric, and no JSON."""
    target = np.array([1.0, 2.0, 1e308])
    columns = {"score": np.array([1.0, 2.0, -1e308])}
    with np.errstate(over="ignore"):
        found = score_points(
            ScoreBundle("regression"), columns, target, ("mean_absolute_error", "root_mean_squared_error")
        )
    assert found == {}
    few = {"score": columns["score"][:2]}
    assert score_points(ScoreBundle("regression"), few, target[:2], ("mean_absolute_error",)) == {
        "mean_absolute_error": mean_absolute_error(target[:2], few["score"])
    }
