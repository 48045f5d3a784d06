"""What skl2onnx gets wrong and is put right: each holds only with its mend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from evertrain.columns import InputSpec
from evertrain.native import as_frame, find_boosting, native_runner
from evertrain.packaging.conversion import find_inexact, to_onnx
from evertrain.packaging.mends import mended
from evertrain.packaging.mends.attributes import plain_integers
from evertrain.packaging.mends.histogram_boosting import LARGEST, floor_to_float32
from evertrain.predictions import Difference, compare_predictions
from evertrain.records import Feature, Signature
from evertrain.sessions import open_onnx
from evertrain.training.preprocessing import build_preprocessor

SPECS = [InputSpec("in_000", "float"), InputSpec("in_001", "string")]
FEATURES = (
    Feature(name="x", kind="numeric", type="float"),
    Feature(name="c", kind="categorical", type="string"),
)
ROWS = 3_000


def neighbours(seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers that are each other's nearest in 32 bits: the middle of two of them is neither."""
    rng = np.random.default_rng(seed)
    numbers = np.float32(1) + rng.integers(0, 40, ROWS).astype(np.float32) * np.finfo(np.float32).eps
    numbers[rng.random(ROWS) < 0.05] = np.nan
    texts = rng.choice(np.array(["a", "b", "__missing__"], dtype=object), ROWS)
    return {"in_000": numbers, "in_001": texts}


def steps() -> np.ndarray:
    """For each row a number that no smooth curve gives: every split counts."""
    rows = neighbours()
    places = np.nan_to_num((rows["in_000"].astype(np.float64) - 1) / np.finfo(np.float32).eps, nan=17)
    steep = np.random.default_rng(1).normal(size=41)[places.astype(int)]
    return np.asarray(steep + (rows["in_001"] == "a"))


def fit(model: Any, target: np.ndarray) -> Pipeline:
    frame = as_frame(neighbours())
    return Pipeline([("inputs", build_preprocessor(model, SPECS)), ("model", model)]).fit(frame, target)


def difference(pipeline: Pipeline) -> Difference:
    """How far the ONNX model's answers lie from scikit-learn's."""
    classes = getattr(pipeline, "classes_", None)
    signature = Signature(
        task="regression" if classes is None else "multiclass_classification",
        target="y",
        features=FEATURES,
        classes=None if classes is None else tuple(classes.tolist()),
        has_probabilities=classes is not None,
    )
    rows = neighbours(seed=2)
    found = open_onnx(to_onnx(pipeline, SPECS), signature)(rows)
    return compare_predictions(native_runner(pipeline, signature)(rows), found, 0.0)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (HistGradientBoostingClassifier(max_iter=20), steps() > 0.3),
        (HistGradientBoostingClassifier(max_iter=10), np.digitize(steps(), [0, 1])),
        (HistGradientBoostingRegressor(max_iter=20), steps()),
        (HistGradientBoostingRegressor(max_iter=20, loss="poisson"), np.abs(steps())),
        (HistGradientBoostingRegressor(max_iter=20, loss="gamma"), np.abs(steps()) + 0.1),
        (BaggingClassifier(HistGradientBoostingClassifier(max_iter=5), n_estimators=2), steps() > 0.3),
    ],
    ids=["two classes", "three classes", "squares", "poisson", "gamma", "in a bag"],
)
def test_histogram_boosting_answers_alike(model: Any, target: np.ndarray) -> None:
    """No row takes another branch, whatever its numbers; counts and amounts come as such."""
    pipeline = fit(model, target)

    assert find_inexact(pipeline) is None
    found = difference(pipeline)

    assert found.labels_different == 0
    assert found.largest < 1e-5


def test_without_the_mend_rows_take_other_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of these tests are such that rounding the thresholds shows."""
    pipeline = fit(HistGradientBoostingRegressor(max_iter=20), steps())
    monkeypatch.setattr(
        "evertrain.packaging.mends.histogram_boosting.floor_to_float32",
        lambda thresholds: np.clip(thresholds, -LARGEST, LARGEST),
    )
    assert difference(pipeline).largest > 0.01


def test_a_conversion_leaves_all_as_it_was() -> None:
    """The fitted model, and onnx itself, are afterwards what they were before, also after a fault."""
    pipeline = fit(HistGradientBoostingClassifier(max_iter=3), steps() > 0.3)
    (model,) = find_boosting(pipeline)
    trees = [tree for iteration in model._predictors for tree in iteration]
    before, make = [tree.nodes for tree in trees], helper.make_attribute

    with pytest.raises(KeyError), mended(pipeline):
        raise KeyError

    assert helper.make_attribute is make
    assert all(tree.nodes is nodes for tree, nodes in zip(trees, before, strict=True))


def test_the_link_of_a_part_is_not_mended() -> None:
    """Poisson boosting inside an ensemble stays native: its exponential would have to stand in the middle."""
    parts = [("a", HistGradientBoostingRegressor(max_iter=2, loss="poisson")), ("b", Ridge())]
    pipeline = fit(VotingRegressor(parts), np.abs(steps()))
    assert "the inverse of its link would be left out" in (find_inexact(pipeline) or "")


def test_splits_by_category_are_known() -> None:
    """Told that a column holds categories, it splits by sets of them, which would be read as numbers."""
    pipeline = fit(HistGradientBoostingClassifier(max_iter=3, categorical_features=[1]), steps() > 0.3)
    assert "splits by category" in (find_inexact(pipeline) or "")


def test_mixed_integers_are_taken() -> None:
    """Booleans and NumPy's integers in one list are what skl2onnx makes; onnx alone refuses them."""
    mixed = [np.uint8(1), False, np.bool_(True), 7]
    with pytest.raises((TypeError, ValueError)):
        helper.make_attribute("mixed", mixed)
    with plain_integers():
        assert list(helper.make_attribute("mixed", mixed).ints) == [1, 0, 1, 7]
        assert list(helper.make_attribute("numbers", [0.5, 1.0]).floats) == [0.5, 1.0]


@given(st.floats(allow_nan=False))
def test_a_floored_threshold_parts_32_bit_numbers_alike(threshold: float) -> None:
    """It is never above the threshold, and the next 32-bit number is."""
    floored = float(floor_to_float32(np.array([threshold]))[0])

    assert floored == np.float32(floored)
    if threshold >= -float(LARGEST):
        assert floored <= threshold
    if threshold < float(LARGEST):
        assert float(np.nextafter(np.float32(floored), np.float32(np.inf))) > threshold
