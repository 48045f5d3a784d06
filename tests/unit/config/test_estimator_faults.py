"""What only the estimator's class can show."""

# ruff: noqa: E501 - a row of a table is a line
from __future__ import annotations

from typing import Any

import pytest

from evertrain.config.estimator_faults import find_estimator_faults
from evertrain.settings import read_settings

SETTINGS = read_settings({})
TREE = "sklearn.tree.DecisionTreeClassifier"
SVC = "sklearn.svm.LinearSVC"
NEIGHBORS = "sklearn.neighbors.KNeighborsClassifier"
LABELLER = """
from sklearn.base import BaseEstimator, ClassifierMixin


class Labeller(ClassifierMixin, BaseEstimator):
    def fit(self, X, y): return self
    def predict(self, X): return X
"""


def faults_of(estimator: object, task: str = "binary_classification", **more: Any) -> list[str]:
    """Give the faults of a YAML that names *estimator*; *more* is put into its sections by dotted names."""
    raw: dict[str, Any] = {"training": {"estimator": estimator}, "evaluation": {"task": task}, "data": {}}
    for name, value in more.items():
        section, _, key = name.partition("__")
        raw.setdefault(section, {})[key] = value
    return [fault.line for fault in find_estimator_faults(raw, SETTINGS)]


@pytest.mark.parametrize(
    ("estimator", "task", "more"),
    [
        (TREE, "binary_classification", {"data__weight": "w", "training__class_weight": "balanced"}),
        (TREE, "multiclass_classification", {"training__search": {"space": {"max_depth": {}}}}),
        ("sklearn.linear_model.LinearRegression", "regression", {}),
        (SVC, "binary_classification", {"training__calibration": "sigmoid"}),
        (SVC, "binary_classification", {"evaluation__metrics": ["accuracy", "f1"]}),
        (
            "sklearn.linear_model.SGDClassifier",
            "binary_classification",
            {"training__params": {"loss": "log_loss"}},
        ),
        (NEIGHBORS, "binary_classification", {}),
        (TREE, "nonsense", {}),
        (None, "regression", {}),
        ("tree", "regression", {}),
    ],
)
def test_an_estimator_that_fits_has_no_fault(estimator, task, more):
    """To its task, metrics, weights and search; what isn't a path is the types' concern."""
    assert faults_of(estimator, task, **more) == []


@pytest.mark.parametrize(
    ("estimator", "task", "more", "lines"),
    [
        ("os.X", "regression", {}, ['training.estimator: "os.X"']),
        (TREE, "regression", {}, ["training.estimator: DecisionTreeClassifier is no regressor; expected an estimator for"]),
        (
            "sklearn.linear_model.LinearRegression",
            "binary_classification",
            {},
            ["training.estimator: LinearRegression is no classifier; expected an estimator for binary_classification"],
        ),
        ("sklearn.linear_model.MultiTaskLasso", "regression", {}, ["MultiTaskLasso learns several targets at once"]),
        ("sklearn.cluster.KMeans", "binary_classification", {}, ["KMeans is no classifier"]),
        (
            "sklearn.semi_supervised.SelfTrainingClassifier",
            "binary_classification",
            {},
            ["SelfTrainingClassifier wraps another estimator, which a YAML can't give"],
        ),
        (
            TREE,
            "binary_classification",
            {"training__params": {"max_dept": 1}, "training__search": {"space": {"max_deph": {}}}},
            ["training.params.max_dept: ", "training.search.space.max_deph: DecisionTreeClassifier has no such parameter"],
        ),
        (
            TREE,
            "binary_classification",
            {
                "training__search": {
                    "space": {
                        "max_depth": {"type": "int", "low": 0, "high": 9},
                        "min_samples_leaf": {"type": "float", "low": 0.1, "high": 2.5},
                        "ccp_alpha": {"type": "float", "low": 0, "high": float("inf")},
                        "criterion": {"type": "categorical", "choices": ["gini", "ginny", None]},
                        "splitter": {"type": "categorical"},
                    }
                }
            },
            [
                "training.search.space.max_depth.low: 0; expected an int in the range [1, inf)",
                "training.search.space.min_samples_leaf.high: 2.5; expected",
                'training.search.space.criterion.choices[1]: "ginny"; expected a str among',
                "training.search.space.criterion.choices[2]: null; expected a str among",
            ],
        ),
        (
            NEIGHBORS,
            "binary_classification",
            {"data__weight": "w", "training__class_weight": "balanced"},
            [
                'data.weight: "w", but KNeighborsClassifier takes no sample weights',
                "training.class_weight: balanced, but KNeighborsClassifier takes neither class nor sample weights",
            ],
        ),
        (
            SVC,
            "binary_classification",
            {},
            ["evaluation.metrics: roc_auc needs probabilities; LinearSVC with these params has no probabilities"],
        ),
        (
            "sklearn.linear_model.SGDClassifier",
            "multiclass_classification",
            {
                "evaluation__metrics": ["accuracy", "log_loss"],
                "evaluation__gates": [{"type": "not_worse", "metric": "roc_auc"}],
                "drift__regret": {"metric": "brier_score_loss"},
            },
            ["evaluation.metrics[1]: log_loss", "evaluation.gates[0].metric: roc_auc", "drift.regret.metric: brier_score_loss"],
        ),
    ],
)  # fmt: skip
def test_one_that_does_not_fit_is_told_where(estimator, task, more, lines):
    """At the metric, the weight, the search's name or the estimator."""
    found = faults_of(estimator, task, **more)

    assert all(any(line in fault for fault in found) for line in lines)
    assert len({fault.partition(":")[0] for fault in found}) == len(lines)


def test_calibration_needs_scores(tmp_path, monkeypatch):
    """A classifier that gives labels only can't be calibrated."""
    (tmp_path / "labellers.py").write_text(LABELLER)
    monkeypatch.syspath_prepend(tmp_path)
    raw = {"training": {"estimator": "labellers.Labeller", "calibration": "isotonic"}}
    raw["evaluation"] = {"task": "binary_classification"}
    (fault,) = find_estimator_faults(raw, read_settings({"EVERTRAIN_ALLOWED_PACKAGES": "labellers"}))

    assert fault.line == "training.calibration: Labeller has no scores to calibrate; expected none"


def test_one_that_knows_two_classes_only_is_told():
    """By its own tags, which may depend on its parameters."""
    estimator = "sklearn.linear_model.LogisticRegression"
    params = {"training__params": {"solver": "liblinear"}}

    assert "knows two classes only" in faults_of(estimator, "multiclass_classification", **params)[0]
    assert faults_of(estimator, "binary_classification", **params) == []
    assert faults_of(estimator, "multiclass_classification") == []
