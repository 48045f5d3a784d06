"""Mends of trees with gaps, boosters, votes, discriminants and searches: each holds only with its mend."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from evertrain.columns import InputSpec
from evertrain.native import as_frame, dump_native, load_native, native_runner
from evertrain.packaging import conversion, mends
from evertrain.packaging.conversion import find_inexact, to_onnx
from evertrain.packaging.mends import boosters
from evertrain.predictions import Difference, compare_predictions
from evertrain.records import Feature, Signature
from evertrain.sessions import open_onnx
from evertrain.training.preprocessing import build_preprocessor

SPECS = [InputSpec("in_000", "float"), InputSpec("in_001", "string")]
FEATURES = (
    Feature(name="x", kind="numeric", type="float"),
    Feature(name="c", kind="categorical", type="string"),
)
ROWS = 2_000
TOLERANCE = 1e-5
ALIKE = (0, pytest.approx(0, abs=TOLERANCE))


def rows(seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers with gaps, where a gap tells more than any number; some are neighbours in 32 bits."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=ROWS).astype(np.float32)
    near = np.float32(1) + rng.integers(0, 40, ROWS).astype(np.float32) * np.finfo(np.float32).eps
    numbers = np.where(rng.random(ROWS) < 0.3, near, numbers).astype(np.float32)
    numbers[rng.random(ROWS) < 0.2] = np.nan
    return {"in_000": numbers, "in_001": rng.choice(np.array(["a", "b"], dtype=object), ROWS)}


def target(kind: str) -> np.ndarray:
    learnt = rows()
    rng = np.random.default_rng(1)
    score = np.where(np.isnan(learnt["in_000"]), -1.5, learnt["in_000"]) + rng.normal(size=ROWS) * 0.3
    score = score + (learnt["in_001"] == "a")
    return score if kind == "number" else (score > 0.7).astype(np.int64)


def with_gaps(model: Any, kind: str = "class") -> Pipeline:
    """A pipeline whose numbers reach the model with their gaps."""
    encoder = OrdinalEncoder(dtype=np.float32)
    columns = ColumnTransformer([("numbers", "passthrough", ["in_000"]), ("texts", encoder, ["in_001"])])
    return Pipeline([("columns", columns), ("model", model)]).fit(as_frame(rows()), target(kind))


def prepared(model: Any) -> Pipeline:
    """A pipeline as evertrain makes it."""
    columns = build_preprocessor(model, SPECS)
    return Pipeline([("columns", columns), ("model", model)]).fit(as_frame(rows()), target("class"))


def compare(pipeline: Pipeline, kind: str = "class") -> Difference:
    """Convert *pipeline*, and hold it against scikit-learn on rows with gaps."""
    classes = None if kind == "number" else (0, 1)
    signature = Signature(
        task="regression" if classes is None else "binary_classification",
        target="y",
        features=FEATURES,
        classes=classes,
        has_probabilities=classes is not None and hasattr(pipeline, "predict_proba"),
    )
    asked = rows(seed=2)
    with warnings.catch_warnings():
        # skl2onnx's; the child process that converts shows none either.
        warnings.simplefilter("ignore")
        converted = to_onnx(pipeline, SPECS)
    answers = open_onnx(converted, signature)(asked)
    return compare_predictions(native_runner(pipeline, signature)(asked), answers, TOLERANCE)


TREES = [
    (DecisionTreeClassifier(max_depth=6, random_state=0), "class"),
    (RandomForestClassifier(10, max_leaf_nodes=40, random_state=0), "class"),
    (ExtraTreesRegressor(10, max_leaf_nodes=40, random_state=0), "number"),
    (BaggingClassifier(DecisionTreeClassifier(max_depth=4), 5, random_state=0), "class"),
]


@pytest.mark.parametrize(("model", "kind"), TREES)
def test_trees_send_gaps_where_scikit_learn_does(
    monkeypatch: pytest.MonkeyPatch, model: Any, kind: str
) -> None:
    """A missing number goes left or right as the tree learnt; without the mend always to the right."""
    pipeline = with_gaps(model, kind)

    assert compare(pipeline, kind) == ALIKE
    monkeypatch.setattr(mends, "mend_missing_values", lambda *_: None)
    stock = compare(pipeline, kind)
    assert stock.labels_different > 0 or stock.largest > 100 * TOLERANCE


def test_lightgbm_takes_no_other_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thresholds are floored to 32 bits; rounded ones send neighbours another way."""
    from lightgbm import LGBMClassifier

    pipeline = with_gaps(LGBMClassifier(n_estimators=30, min_child_samples=2, verbose=-1, n_jobs=1))

    assert find_inexact(pipeline) is None
    assert compare(pipeline) == ALIKE
    monkeypatch.setattr(boosters, "_floored_thresholds", nullcontext)
    assert compare(pipeline).largest > 10 * TOLERANCE


@pytest.mark.parametrize("kind", ["class", "number"])
def test_boosters_are_converted(kind: str) -> None:
    """XGBoost and LightGBM, classes and numbers, with gaps."""
    from lightgbm import LGBMRegressor
    from xgboost import XGBClassifier, XGBRegressor

    made = [XGBClassifier(n_estimators=10, n_jobs=1)]
    if kind == "number":
        made = [XGBRegressor(n_estimators=10, n_jobs=1), LGBMRegressor(n_estimators=10, verbose=-1, n_jobs=1)]
    for model in made:
        assert compare(with_gaps(model, kind), kind) == ALIKE


def test_without_its_converter_a_booster_is_native_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The extra that brings the converter is named."""
    from xgboost import XGBClassifier

    pipeline = with_gaps(XGBClassifier(n_estimators=2, n_jobs=1))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert "pip install 'evertrain[xgboost]'" in (find_inexact(pipeline) or "")


def test_two_classes_told_apart_by_a_discriminant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear discriminant's probabilities are those of its line; skl2onnx alone makes them too steep."""
    pipeline = prepared(LinearDiscriminantAnalysis())

    assert compare(pipeline) == ALIKE
    monkeypatch.setattr(conversion, "stand_in", lambda pipeline: pipeline)
    assert compare(pipeline).largest > 0.01


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_votes_and_stacks_are_converted(voting: str) -> None:
    """A vote converts with its members apart, and is as it was afterwards; a stack converts as it is."""
    members = [("a", LogisticRegression()), ("b", GaussianNB())]
    vote = prepared(VotingClassifier(members, voting=voting))

    assert compare(vote) == ALIKE
    assert vote[-1].flatten_transform is True
    assert compare(prepared(StackingClassifier(members, cv=2))) == ALIKE


def test_support_vectors_name_the_same_classes() -> None:
    """Of two classes without probabilities the labels are served, and those are right."""
    assert compare(prepared(SVC())) == ALIKE


def test_a_search_leaves_its_winner() -> None:
    """What a search holds beside its best model isn't written: names of functions aren't loaded."""
    search = prepared(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2))

    loaded = load_native(dump_native(search))

    assert isinstance(loaded[-1], LogisticRegression)
    frame = as_frame(rows(seed=3))
    np.testing.assert_array_equal(loaded.predict_proba(frame), search.predict_proba(frame))


def test_a_tuned_threshold_is_kept_and_served_natively() -> None:
    """The threshold that was found stays; in ONNX it would get lost, so such a model is native."""
    tuned = prepared(TunedThresholdClassifierCV(LogisticRegression(), cv=2))

    loaded = load_native(dump_native(tuned))

    assert isinstance(loaded[-1], FixedThresholdClassifier)
    assert loaded[-1].threshold == tuned[-1].best_threshold_
    frame = as_frame(rows(seed=3))
    np.testing.assert_array_equal(loaded.predict(frame), tuned.predict(frame))
    assert "threshold would get lost" in (find_inexact(loaded) or "")
