from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline

from evertrain.columns import InputSpec
from evertrain.errors import ModelFailed
from evertrain.native import as_frame, native_runner
from evertrain.packaging.conversion import to_onnx
from evertrain.packaging.parity import ODD_TEXTS, PROBED_ROWS, add_probes, check_parity, tolerance_for
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature
from evertrain.sessions import open_onnx
from evertrain.training.preprocessing import build_preprocessor

SPECS = (InputSpec("in_000", "float"), InputSpec("in_001", "string"), InputSpec("in_002", "float"))


def inputs(rows: int) -> dict[str, np.ndarray]:
    return {
        "in_000": np.arange(rows, dtype=np.float32),
        "in_001": np.array([f"text {row}" for row in range(rows)], dtype=object),
        "in_002": np.arange(rows, dtype=np.float32) * 2,
    }


@pytest.mark.parametrize("rows", [1, 10])
def test_probes_hold_every_oddity_of_every_input(rows: int) -> None:
    """Each number is missing in some row, each text takes each odd spelling, and one row lacks all."""
    probed = add_probes(SPECS, inputs(rows))
    block = min(rows, PROBED_ROWS)
    assert {len(values) for values in probed.values()} == {rows + block * (2 + len(ODD_TEXTS) + 1)}
    odd = {name: values[rows:] for name, values in probed.items()}
    for text in ODD_TEXTS:
        assert text in odd["in_001"]
    alone = np.isnan(odd["in_000"]) & ~np.isnan(odd["in_002"])
    everything = np.isnan(odd["in_000"]) & np.isnan(odd["in_002"]) & (odd["in_001"] == ODD_TEXTS[0])
    assert alone.sum() == everything.sum() == block


def test_probes_leave_the_held_out_rows_as_they_are() -> None:
    """Held-out rows come first, unchanged, and the given arrays aren't written to."""
    given = inputs(5)
    probed = add_probes(SPECS, given)
    for name, values in inputs(5).items():
        assert np.array_equal(given[name], values)
        assert np.array_equal(probed[name][:5], values)


def double(rows: Mapping[str, np.ndarray]) -> Prediction:
    return Prediction(values=rows["in_000"] * 2.0)


def test_equal_answers_pass_with_the_figures() -> None:
    """A candidate that answers alike passes, and the rows and the difference are told."""
    verdict = check_parity(double(inputs(4)), double, inputs(4), 1e-5)
    assert verdict.reason is None
    assert verdict.parity is not None
    assert verdict.parity.model_dump() == {
        "rows": 4,
        "labels_different": 0,
        "max_difference": 0.0,
        "tolerance": 1e-5,
    }


def test_one_row_too_far_off_fails() -> None:
    """One row in thousands beyond the tolerance is a failure, told in words."""
    wrong = double(inputs(3000)).values
    wrong[1234] *= 1.01
    verdict = check_parity(double(inputs(3000)), lambda _: Prediction(values=wrong), inputs(3000), 1e-5)
    assert verdict.parity is None
    assert verdict.reason == (
        "it answers otherwise in ONNX: of 3,000 rows 0 labels differ, numbers by up to 0.014 (allowed 1e-05)"
    )


def test_a_candidate_that_raises_fails() -> None:
    """A candidate that can't answer a row at all is not served; the reason is its own."""

    def fail(rows: Mapping[str, np.ndarray]) -> Prediction:
        raise ModelFailed("Unknown category")

    assert check_parity(double(inputs(4)), fail, inputs(4), 1e-5) == (None, "Unknown category")


def test_values_may_differ_by_more_than_probabilities() -> None:
    """Probabilities are compared as they are, values in units of their spread."""
    regression = Signature(task="regression", target="y", features=())
    binary = regression.model_copy(update={"task": "binary_classification", "classes": (0, 1)})
    assert tolerance_for(binary) < tolerance_for(regression)


@pytest.mark.parametrize("estimator", [RandomForestClassifier, ExtraTreesClassifier])
def test_a_large_forest_passes(estimator: type[Any]) -> None:
    """Five hundred trees summed in 32 bits are within the tolerance."""
    rng = np.random.default_rng(0)
    rows = {"in_000": rng.normal(size=3000).astype(np.float32)}
    model = estimator(500, max_depth=4, random_state=0)
    preprocessor = build_preprocessor(model, SPECS[:1])
    target = rows["in_000"] + rng.normal(size=3000) > 0
    pipeline = Pipeline([("inputs", preprocessor), ("model", model)]).fit(as_frame(rows), target.astype(int))
    feature = Feature(name="x", kind="numeric", type="float")
    binary = Signature(
        task="binary_classification",
        target="y",
        features=(feature,),
        classes=(0, 1),
        has_probabilities=True,
    )
    candidate = open_onnx(to_onnx(pipeline, SPECS[:1]), binary)
    reference = native_runner(pipeline, binary)(rows)
    assert check_parity(reference, candidate, rows, tolerance_for(binary)).reason is None
