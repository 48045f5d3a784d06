from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.predictions import Prediction, compare_predictions, join_predictions
from evertrain.records import Label, Signature


def signature(classes: tuple[Label, ...] | None) -> Signature:
    task = "regression" if classes is None else "binary_classification"
    return Signature(task=task, target="y", features=(), classes=classes)


def classify(*probabilities: float) -> Prediction:
    late = np.array(probabilities)
    return Prediction(codes=(late > 0.5).astype(np.int64), probabilities=np.column_stack([1 - late, late]))


@pytest.mark.parametrize("classes", [(False, True), ("No", "Yes"), (1, 2), (0.5, 1.5)])
def test_labels_bear_the_training_datas_type(classes: tuple[Label, ...]) -> None:
    """Codes come back as the very classes of the signature, bools as bools and strings as strings."""
    labels = Prediction(codes=np.array([1, 0, 1])).labels(signature(classes))
    assert labels == [classes[1], classes[0], classes[1]]
    assert [type(label) for label in labels] == [type(classes[0])] * 3


def test_labels_of_a_regression_are_floats() -> None:
    """A regression's labels are its values as plain floats; nothing answered is no label."""
    assert Prediction(values=np.array([1.5, 2.0])).labels(signature(None)) == [1.5, 2.0]
    assert Prediction().labels(signature(None)) == []


@pytest.mark.parametrize(
    ("prediction", "finite"),
    [
        (Prediction(codes=np.array([1])), True),
        (Prediction(values=np.array([1.0, np.inf])), False),
        (classify(0.1, np.nan), False),
        (classify(0.1, 0.9), True),
    ],
)
def test_is_finite_looks_at_every_number(prediction: Prediction, finite: bool) -> None:
    """One number that isn't finite makes the answer not finite."""
    assert prediction.is_finite is finite


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(1, 20))
def test_parts_join_to_the_whole(values: list[float], cut: int) -> None:
    """Answers to consecutive rows, joined, are the answer to all rows."""
    whole = Prediction(values=np.array(values))
    parts = [Prediction(values=np.array(part)) for part in (values[:cut], values[cut:]) if part]
    assert np.array_equal(join_predictions(parts).values, whole.values)
    assert join_predictions(parts).codes is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_an_answer_equals_itself(probabilities: list[float]) -> None:
    """A prediction held against itself differs nowhere, whatever the tolerance."""
    assert compare_predictions(classify(*probabilities), classify(*probabilities), 0.0) == (0, 0.0)


def test_a_label_counts_unless_the_reference_is_undecided() -> None:
    """A flipped label counts, save where the reference's two best classes are a hair apart."""
    difference = compare_predictions(classify(0.2, 0.500001), classify(0.8, 0.499999), 1e-5)
    assert difference.labels_different == 1
    assert difference.largest == pytest.approx(0.6)


def test_labels_alone_are_compared_where_there_are_no_probabilities() -> None:
    """Without probabilities every flipped label counts."""
    reference, found = (Prediction(codes=np.array(codes)) for codes in ([0, 1, 1], [0, 0, 1]))
    assert compare_predictions(reference, found, 1e-5) == (1, 0.0)


def test_a_single_class_is_always_decided() -> None:
    """With one class only, a different label counts."""
    reference = Prediction(codes=np.array([0]), probabilities=np.array([[1.0]]))
    found = Prediction(codes=np.array([1]), probabilities=np.array([[1.0]]))
    assert compare_predictions(reference, found, 1.0).labels_different == 1


@pytest.mark.parametrize(
    ("reference", "found", "largest"),
    [
        ([0.0, 10.0], [0.5, 10.0], 0.1),
        ([1e7, 1e7 + 2], [1e7 + 1, 1e7 + 2], 1.0),
        ([100.0, 100.0], [101.0, 100.0], 0.01),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.2], 1.0),
        ([0.0, 0.0], [0.25, 0.0], 0.25),
        ([1.0, 2.0], [1.0, np.nan], np.inf),
        ([1.0, 2.0], [1.0], np.inf),
    ],
)
def test_values_differ_in_units_of_their_spread(
    reference: list[float], found: list[float], largest: float
) -> None:
    """A large mean hides no difference; where all are alike the size counts; NaN is infinitely far."""
    parts = [Prediction(values=np.array(each)) for each in (reference, found)]
    assert compare_predictions(parts[0], parts[1], 1e-5).largest == pytest.approx(largest)


def test_missing_probabilities_are_infinitely_far() -> None:
    """A candidate that gives no probabilities where the reference does can't pass."""
    found = Prediction(codes=np.array([1]))
    assert compare_predictions(classify(0.9), found, 1e-5).largest == np.inf
