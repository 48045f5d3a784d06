"""Tests that a native model names the very classes that scikit-learn's own ``predict`` names."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from evertrain.native import CHOOSES_LIKELIEST, native_runner
from evertrain.records import Signature

RANDOM = np.random.default_rng(0)
ROWS = 400
FEW = {"n_estimators": 4, "max_iter": 4, "min_child_samples": 5, "random_state": 0}


def sign(classes: int) -> Signature:
    return Signature(
        task="binary_classification" if classes == 2 else "multiclass_classification",
        target="y",
        features=(),
        classes=("a", "b", "c")[:classes],
        has_probabilities=True,
    )


def fit(name: str, classes: int) -> tuple[Pipeline, dict[str, np.ndarray]]:
    """A small model of few trees on rows that are often alike: many of its answers are ties."""
    module, _, kind = name.rpartition(".")
    if not module.startswith("sklearn"):
        pytest.importorskip(module.partition(".")[0], reason="the extra of this booster isn't installed")
    model: Any = getattr(importlib.import_module(module), kind)()
    known = model.get_params()
    silence = {"verbosity": -1} if module.startswith("lightgbm") else {}
    model.set_params(**{option: value for option, value in FEW.items() if option in known}, **silence)
    columns = {f"in_00{place}": RANDOM.integers(0, 4, ROWS).astype(np.float32) for place in range(2)}
    matrix = np.column_stack(list(columns.values()))
    target = (matrix.sum(axis=1) + RANDOM.integers(0, 3, ROWS)).astype(int) % classes
    return Pipeline([("inputs", StandardScaler()), ("model", model)]).fit(matrix, target), columns


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", sorted(CHOOSES_LIKELIEST))
def test_classes_are_those_of_predict_ties_included(name: str, classes: int) -> None:
    """Whether a class comes from probabilities or from ``predict``: no row is named otherwise."""
    pipeline, columns = fit(name, classes)

    answered = native_runner(pipeline, sign(classes))(columns)

    assert answered.codes is not None
    assert answered.codes.tolist() == pipeline.predict(np.column_stack(list(columns.values()))).tolist()


def test_trees_are_walked_once_where_no_row_is_a_tie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each row has a likeliest class, ``predict`` isn't asked; where one has none, it is."""
    name = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier"
    pipeline, columns = fit(name, 2)
    run = native_runner(pipeline, sign(2))
    asked: list[int] = []

    def predict(_: object, matrix: np.ndarray) -> np.ndarray:
        asked.append(len(matrix))
        return np.zeros(len(matrix))

    monkeypatch.setattr(type(pipeline[-1]), "predict", predict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(columns)
        assert not asked
        monkeypatch.setattr(
            type(pipeline[-1]), "predict_proba", lambda _, matrix: np.full((len(matrix), 2), 0.5)
        )
        run(columns)
    assert asked
