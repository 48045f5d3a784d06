from __future__ import annotations

import numpy as np
import pytest

from evertrain.evaluation.answers import Truth, ask, why_incomparable
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature


class ConstantBundle:
    """Answers every row with its first class, surely; a regressor answers 1.5."""

    def __init__(self, classes):
        task = "multiclass_classification" if classes else "regression"
        features = (Feature(name="a", kind="numeric", type="float"),)
        self.signature = Signature(task=task, target="y", features=features, classes=classes)

    def predict(self, columns):
        rows = len(columns["a"])
        if self.signature.classes is None:
            return Prediction(values=np.full(rows, 1.5, dtype=np.float32))
        sure = np.eye(len(self.signature.classes))[np.zeros(rows, dtype=int)]
        return Prediction(codes=np.zeros(rows, dtype=np.int64), probabilities=sure)


def test_truth_has_a_place_for_every_class():
    """Codes follow the data's classes, then those only another model knows, then those nobody named."""
    target = np.array(["b", "a", "z", "y", "b"], dtype=object)
    truth = Truth(target, ("b", "a"), ("c", "a"))
    assert truth.names == ("b", "a", "c", "y", "z")
    assert truth.codes.tolist() == [0, 1, 4, 3, 0]


def test_truth_of_a_regression_is_one_stratum():
    """Numbers have no classes, and their rows are resampled together."""
    truth = Truth(np.array([1.0, 2.0]), None)
    assert (truth.names, truth.codes.tolist()) == ((), [0, 0])


def test_answers_are_laid_in_the_truths_order():
    """Codes and probabilities move to the places that the truth gives the model's classes."""
    truth = Truth(np.array(["a", "b", "c"], dtype=object), ("a", "b", "c"))
    answers = ask(ConstantBundle(("c", "a")), {"a": np.zeros(3), "other": np.zeros(3)}, truth)
    assert answers.codes.tolist() == [2, 2, 2]
    assert answers.probabilities.tolist() == [[0, 0, 1]] * 3
    assert answers.truth.tolist() == [0, 1, 2]


def test_regressions_answers_are_doubles():
    """A regressor's float32 answers are measured in float64."""
    answers = ask(ConstantBundle(None), {"a": np.zeros(2)}, Truth(np.array([1, 2]), None))
    assert (answers.values.dtype, answers.truth.dtype) == (np.float64, np.float64)


@pytest.mark.parametrize(
    ("own", "here", "task", "words"),
    [
        ((1, 0), (False, True), "binary_classification", "it answers 0, 1, these rows hold false, true"),
        ((True, False), (False, True), "binary_classification", None),
        ((1, 2), ("2", "3", "4"), "multiclass_classification", None),
        (tuple("abcdefg"), ("x", "y", "z"), "multiclass_classification", "a, b, c, d, e, …"),
    ],
)
def test_classes_decide_whether_models_compare(own, here, task, words):
    """Two classes must be the same two by their spelling; of more, one in common is enough."""
    features = (Feature(name="a", kind="numeric", type="float"),)
    signature = Signature(task=task, target="y", features=features, classes=own)
    found = why_incomparable(signature, {"a": np.zeros(1)}, task, here)
    assert (found is None) if words is None else (words in found)
