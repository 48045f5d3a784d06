from __future__ import annotations

import numpy as np
from sklearn.metrics import auc, roc_auc_score

from evertrain.evaluation.curves import MOST_ROC_POINTS, draw_curves
from evertrain.evaluation.scores import ClassAnswers, ValueAnswers


def make_answers(rows=5000):
    rng = np.random.default_rng(0)
    truth = (rng.random(rows) < 0.1).astype(np.int64)
    scores = 1 / (1 + np.exp(-2 * truth - rng.normal(size=rows)))
    return ClassAnswers(truth, (scores > 0.5).astype(np.int64), np.column_stack([1 - scores, scores]))


def test_thinned_curve_keeps_its_area():
    """200 points of a curve of 5,000 rows show the same area to a thousandth."""
    answers = make_answers()
    curve = draw_curves({"challenger": answers}, ("no", "yes"), seed=0)[0]
    assert len(curve.x) <= MOST_ROC_POINTS
    assert abs(auc(curve.x, curve.y) - roc_auc_score(answers.truth, answers.probabilities[:, 1])) < 1e-3


def test_rows_of_one_class_draw_nothing():
    """Many classes in name and one in the rows have no curve."""
    answers = ClassAnswers(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), np.full((3, 3), 1 / 3))
    assert draw_curves({"challenger": answers}, ("a", "b", "c"), seed=0) == ()


def test_residuals_are_true_minus_predicted():
    """A few rows are all shown: what was predicted, and how much was missing."""
    answers = ValueAnswers(np.array([3.0, 1.0]), np.array([2.0, 2.0]))
    curve = draw_curves({"challenger": answers, "champion": answers}, (), seed=0)[0]
    assert (curve.x, curve.y) == ((2.0, 2.0), (1.0, -1.0))


def test_sample_of_residuals_is_seeded():
    """Of many rows the same 500 are shown each time, others with another seed."""
    rng = np.random.default_rng(0)
    models = {"challenger": ValueAnswers(rng.normal(size=900), rng.normal(size=900))}
    first, again, other = (draw_curves(models, (), seed=seed)[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first.x) == 500
