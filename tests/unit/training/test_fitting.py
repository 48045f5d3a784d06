from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, MultiTaskLasso, Perceptron
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from evertrain.columns import InputSpec
from evertrain.config import TrainingConfig
from evertrain.errors import TrainingError
from evertrain.native import as_frame
from evertrain.training.fitting import fit_pipeline, make_estimator
from evertrain.training.rows import TrainingRows

SPECS = (InputSpec("in_000", "float"), InputSpec("in_001", "string"))


class Infinite(RegressorMixin, BaseEstimator):
    def fit(self, X: Any, y: Any) -> Infinite:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), np.inf)


class WeighsClassesOnly(ClassifierMixin, BaseEstimator):
    def __init__(self, class_weight: str | None = None) -> None:
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> WeighsClassesOnly:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X), dtype=np.int64)


class Broken(RegressorMixin, BaseEstimator):
    def fit(self, X: Any, y: Any) -> Broken:
        raise MemoryError


def config(**options: Any) -> TrainingConfig:
    return TrainingConfig(estimator="sklearn.some.Estimator", **options)


def rows(
    target: np.ndarray | None = None, weights: np.ndarray | None = None, is_classification: bool = True
) -> TrainingRows:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=200).astype(np.float32)
    labels = (numbers + rng.normal(size=200) > 0.8).astype(np.int64)
    return TrainingRows(
        inputs={"in_000": numbers, "in_001": rng.choice(np.array(["a", "b"], dtype=object), 200)},
        specs=SPECS,
        target=labels if target is None else target,
        is_classification=is_classification,
        weights=weights,
        newest=np.arange(200) >= 160,
    )


def probabilities(kind: type[Any], options: TrainingConfig, learnt: TrainingRows) -> np.ndarray:
    return np.asarray(fit_pipeline(kind, options, learnt).predict_proba(as_frame(learnt.inputs)))


def test_the_seed_becomes_the_random_state() -> None:
    """The pipeline's seed is the estimator's random_state, unless the parameters say otherwise."""
    assert make_estimator(RandomForestClassifier, config(seed=7)).random_state == 7
    own = config(seed=7, params={"random_state": 3})
    assert make_estimator(RandomForestClassifier, own).random_state == 3
    assert "random_state" not in make_estimator(LinearRegression, config(seed=7)).get_params()


def test_fitting_twice_gives_the_same_model() -> None:
    """Equal rows, parameters and seed give equal answers to the last bit."""
    options = config(params={"n_estimators": 5})
    first, second = (probabilities(RandomForestClassifier, options, rows()) for _ in range(2))
    assert np.array_equal(first, second)


def test_weights_are_learnt_from() -> None:
    """A row of weight 0 is as if it weren't there."""
    without = np.arange(200) < 100
    full = rows(weights=without.astype(np.float64))
    model = fit_pipeline(LogisticRegression, config(), full)[-1]
    doubled = fit_pipeline(LogisticRegression, config(), rows(weights=np.ones(200)))[-1]
    assert not np.allclose(model.coef_, doubled.coef_, atol=1e-3)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 200)])
def test_balanced_weighs_the_classes_alike(weights: np.ndarray | None) -> None:
    """Balanced sample weights give what scikit-learn's own class_weight gives, row weights on top."""
    learnt = rows(weights=weights)
    totals = np.bincount(learnt.target, weights=weights)
    own = {"class_weight": dict(enumerate(totals.sum() / (2 * totals)))}
    expected = probabilities(LogisticRegression, config(params=own), learnt)
    found = probabilities(LogisticRegression, config(class_weight="balanced"), learnt)
    assert np.allclose(found, expected, atol=1e-6)


def test_balanced_uses_class_weights_where_sample_weights_arent_taken() -> None:
    """An estimator that takes class weights alone gets them."""
    pipeline = fit_pipeline(WeighsClassesOnly, config(class_weight="balanced"), rows())
    assert pipeline[-1].class_weight == "balanced"


@pytest.mark.parametrize(
    ("options", "weights", "path"),
    [({"class_weight": "balanced"}, None, "training.class_weight"), ({}, np.ones(200), "data.weight")],
)
def test_weights_that_cant_be_used_are_refused(
    options: dict[str, Any], weights: np.ndarray | None, path: str
) -> None:
    """Weights are never dropped in silence: the refusal names the setting."""
    with pytest.raises(TrainingError, match=path) as refusal:
        fit_pipeline(KNeighborsClassifier, config(**options), rows(weights=weights))
    assert refusal.value.attributes["path"] == path


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 200)])
def test_calibration_is_fitted_on_the_newest_fifth(method: str, weights: np.ndarray | None) -> None:
    """The estimator learns from the oldest four fifths, the calibration from the newest."""
    learnt, leaves = rows(weights=weights), {"params": {"max_leaf_nodes": 5}}
    pipeline = fit_pipeline(DecisionTreeClassifier, config(calibration=method, **leaves), learnt)
    assert isinstance(pipeline[-1], CalibratedClassifierCV)
    old = ~learnt.newest
    oldest = TrainingRows(
        inputs={name: values[old] for name, values in learnt.inputs.items()},
        specs=SPECS,
        target=learnt.target[old],
        is_classification=True,
        weights=None if weights is None else weights[old],
        newest=learnt.newest[old],
    )
    alone = fit_pipeline(DecisionTreeClassifier, config(**leaves), oldest)
    frame = as_frame(learnt.inputs)
    inner = pipeline[-1].calibrated_classifiers_[0].estimator
    matrix = pipeline[:-1].transform(frame)
    assert np.array_equal(inner.predict_proba(matrix), alone.predict_proba(frame))
    assert not np.array_equal(pipeline.predict_proba(frame), alone.predict_proba(frame))


def test_calibration_gives_probabilities_to_an_estimator_without() -> None:
    """Calibrated, a classifier of mere scores gives probabilities."""
    found = probabilities(Perceptron, config(calibration="sigmoid"), rows())
    assert np.allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("place", [slice(0, 160), slice(160, 200)])
def test_calibration_needs_every_class_on_both_parts(place: slice) -> None:
    """A class that occurs in one part only is a refusal that names the setting."""
    target = np.array([0, 1] * 100)
    target[place] = 0
    with pytest.raises(TrainingError, match=r"calibration 'sigmoid' can't be fitted"):
        fit_pipeline(LogisticRegression, config(calibration="sigmoid"), rows(target))


def test_whatever_an_estimator_raises_is_a_training_error() -> None:
    """The message names the estimator and the vendor's first line."""
    with pytest.raises(
        TrainingError, match=r"sklearn\.some\.Estimator failed to fit: ValueError: For mono-task"
    ):
        fit_pipeline(MultiTaskLasso, config(), rows(is_classification=False))
    with pytest.raises(TrainingError, match="failed to fit: MemoryError"):
        fit_pipeline(Broken, config(), rows(is_classification=False))


def test_a_model_of_infinite_numbers_is_refused() -> None:
    """A model that was fitted but answers with infinity is no model."""
    with pytest.raises(TrainingError, match="predicts numbers that aren't finite"):
        fit_pipeline(Infinite, config(), rows(is_classification=False))


def test_warnings_become_one_log_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """A vendor's warnings don't leak; each stands once in our log."""
    with caplog.at_level(logging.WARNING, logger="evertrain.training"):
        fit_pipeline(MLPClassifier, config(params={"max_iter": 2}), rows())
    lines = [record.getMessage() for record in caplog.records if record.name == "evertrain.training"]
    assert len(lines) == 1
    assert lines[0].startswith("sklearn.some.Estimator: ConvergenceWarning: ")
    assert "\n" not in lines[0]


def test_an_estimator_without_sparse_input_is_fitted_densely() -> None:
    """Categories reach an estimator that takes no sparse matrix as a dense one."""
    assert probabilities(LinearDiscriminantAnalysis, config(), rows()).shape == (200, 2)
