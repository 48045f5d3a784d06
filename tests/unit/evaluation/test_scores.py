from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from evertrain.evaluation.bootstrap import evaluate_once
from evertrain.evaluation.scores import ClassAnswers, ValueAnswers, metric_formula, roc_points
from evertrain.metrics import metrics_for

CLASS_METRICS = metrics_for("binary_classification")
VALUE_METRICS = metrics_for("regression")


def make_answers(classes, *, rows=300, seed=0, decimals=2, truth=None):
    """Answers with many ties in their probabilities, unless *decimals* is large."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows) if truth is None else truth
    raw = np.round(rng.random((rows, classes)) + 0.6 * np.eye(classes)[truth % classes], decimals) + 0.1
    return ClassAnswers(truth, raw.argmax(axis=1), raw / raw.sum(axis=1, keepdims=True))


def sklearn_metric(name, answers, weights=None):
    """scikit-learn's own figure; one-vs-rest over the classes that occur."""
    truth, codes, probabilities = answers.truth, answers.codes, answers.probabilities
    labels, given = np.arange(probabilities.shape[1]), {"sample_weight": weights}
    if name in ("accuracy", "balanced_accuracy"):
        return getattr(sk, f"{name}_score")(truth, codes, **given)
    if name == "f1":
        return sk.f1_score(truth, codes, average="macro", **given)
    if name == "log_loss":
        return sk.log_loss(truth, probabilities, labels=labels, **given)
    if name == "brier_score_loss":
        return sk.brier_score_loss(truth, probabilities, labels=labels, **given)
    score = getattr(sk, f"{name}_score")
    if labels.size == 2:
        return score(truth, probabilities[:, 1], **given)
    return np.mean([score(truth == code, probabilities[:, code], **given) for code in np.unique(truth)])


def sklearn_error(name, answers, weights=None):
    names = {"r2": "r2_score"}
    return getattr(sk, names.get(name, name))(answers.truth, answers.values, sample_weight=weights)


@pytest.mark.parametrize("decimals", [1, 2, 15])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_classification_equals_sklearn(metric, classes, decimals):
    """Every classification metric is scikit-learn's, ties or no ties, two classes or more."""
    answers = make_answers(classes, decimals=decimals)
    found = evaluate_once(metric_formula(metric, answers), answers.truth.size)
    assert found == pytest.approx(sklearn_metric(metric, answers), abs=1e-10)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_weighted_classification_equals_sklearn(metric, classes):
    """A weighting by counts gives what scikit-learn gives with those sample weights, several at once."""
    answers = make_answers(classes)
    weights = np.random.default_rng(1).integers(0, 4, (3, answers.truth.size)).astype(float)
    found = metric_formula(metric, answers)(weights)
    expected = [sklearn_metric(metric, answers, row) for row in weights]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("metric", VALUE_METRICS)
def test_regression_equals_sklearn(metric):
    """Every regression metric is scikit-learn's, plain and weighted, a target of zero included."""
    rng = np.random.default_rng(0)
    truth = np.append(rng.normal(1e4, 3, 200), 0.0)
    answers = ValueAnswers(truth, truth + rng.normal(size=truth.size))
    formula = metric_formula(metric, answers)
    weights = rng.integers(0, 4, (2, truth.size)).astype(float)
    assert evaluate_once(formula, truth.size) == pytest.approx(sklearn_error(metric, answers), rel=1e-10)
    expected = [sklearn_error(metric, answers, row) for row in weights]
    np.testing.assert_allclose(formula(weights), expected, rtol=1e-10)


@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_class_absent_from_the_rows(metric):
    """A class that the model knows and the rows don't hold counts in no mean over classes."""
    truth = np.random.default_rng(3).integers(0, 3, 200)
    answers = make_answers(4, truth=truth, rows=200)
    codes = np.where(answers.codes == 3, 0, answers.codes)
    answers = ClassAnswers(truth, codes, answers.probabilities)
    found = evaluate_once(metric_formula(metric, answers), 200)
    assert found == pytest.approx(sklearn_metric(metric, answers), abs=1e-10)


@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_class_the_model_never_saw(metric):
    """Rows of a class without a probability of its own count as wrong, as scikit-learn has it."""
    answers = make_answers(3, truth=np.random.default_rng(4).integers(0, 4, 200), rows=200)
    probabilities = np.column_stack([answers.probabilities, np.zeros(200)])
    answers = ClassAnswers(answers.truth, answers.codes, probabilities)
    found = evaluate_once(metric_formula(metric, answers), 200)
    assert found == pytest.approx(sklearn_metric(metric, answers), abs=1e-10)


def test_f1_of_a_class_only_answered():
    """f1 counts a class that is answered and never true as 0, as scikit-learn does."""
    truth, codes = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    answers = ClassAnswers(truth, codes, None)
    found = evaluate_once(metric_formula("f1", answers), 4)
    assert found == pytest.approx(sk.f1_score(truth, codes, average="macro"))


def test_roc_auc_of_one_class_is_refused():
    """An AUC of rows of one class doesn't exist, and isn't made up."""
    answers = ClassAnswers(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="two classes"):
        metric_formula("roc_auc", answers)


def test_metric_without_its_probabilities_is_refused():
    """A metric that needs probabilities isn't computed from labels."""
    codes = np.array([0, 1])
    with pytest.raises(KeyError):
        metric_formula("log_loss", ClassAnswers(codes, codes, None))


@pytest.mark.parametrize(("offset", "expected"), [(0.0, 1.0), (1e-8, 0.0)])
@pytest.mark.parametrize("rows", [1, 3])
def test_r2_of_a_constant_target(rows, offset, expected):
    """r2 of a constant target is 1 for an exact model and 0 for any other, never infinite."""
    truth = np.full(rows, -2.1)
    assert evaluate_once(metric_formula("r2", ValueAnswers(truth, truth + offset)), rows) == expected


def test_r2_of_a_resample_that_happens_to_be_constant():
    """A weighting that leaves one value of the target gives 0 or 1, not a division by almost zero."""
    answers = ValueAnswers(np.array([0.1, 0.7, 0.3]), np.array([0.1, 0.6, 0.3]))
    weights = np.array([[3.0, 0, 0], [0, 3, 0]])
    assert metric_formula("r2", answers)(weights).tolist() == [1.0, 0.0]


def test_roc_points_equal_sklearn():
    """The curve has scikit-learn's points, ties and both ends included."""
    answers = make_answers(2, decimals=1)
    x, y = roc_points(answers.truth == 1, answers.probabilities[:, 1])
    fpr, tpr, _ = sk.roc_curve(answers.truth, answers.probabilities[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(x, fpr)
    np.testing.assert_allclose(y, tpr)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_auc_is_symmetric(rows):
    """Calling the other class positive and turning the scores round leaves the AUC as it was."""
    truth = np.array([0, 1, *(int(positive) for positive, _ in rows)])
    scores = np.array([0, 5, *(score for _, score in rows)]) / 5
    codes = np.zeros_like(truth)
    there = ClassAnswers(truth, codes, np.column_stack([1 - scores, scores]))
    back = ClassAnswers(1 - truth, codes, np.column_stack([scores, 1 - scores]))
    areas = [evaluate_once(metric_formula("roc_auc", answers), truth.size) for answers in (there, back)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-12)
