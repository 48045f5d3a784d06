from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from evertrain.columns import InputSpec
from evertrain.errors import BundleRefused, ModelFailed
from evertrain.native import as_frame
from evertrain.packaging.conversion import to_onnx
from evertrain.records import Feature, Signature
from evertrain.sessions import open_onnx
from evertrain.training.preprocessing import build_preprocessor

SPECS = [InputSpec("in_000", "float"), InputSpec("in_001", "string")]
FEATURES = (
    Feature(name="x", kind="numeric", type="float"),
    Feature(name="c", kind="categorical", type="string"),
)
REGRESSION = Signature(task="regression", target="y", features=FEATURES)
BINARY = Signature(
    task="binary_classification", target="y", features=FEATURES, classes=("No", "Yes"), has_probabilities=True
)
INPUTS = {
    "in_000": np.linspace(-1, 1, 40).astype(np.float32),
    "in_001": np.array(["a", "b"] * 20, dtype=object),
}


def converted(model: LinearRegression | LogisticRegression) -> bytes:
    pipeline = Pipeline([("inputs", build_preprocessor(model, SPECS)), ("model", model)])
    return to_onnx(pipeline.fit(as_frame(INPUTS), [0, 0, 1, 1] * 10), SPECS)


def test_a_regression_answers_values() -> None:
    """Values come as float64 of shape (n,)."""
    found = open_onnx(converted(LinearRegression()), REGRESSION)(INPUTS)
    assert found.values.dtype == np.float64
    assert found.values.shape == (40,)
    assert found.codes is None


def test_a_classifier_answers_codes_and_probabilities() -> None:
    """Codes come as int64, probabilities in [0, 1] with a column a class."""
    found = open_onnx(converted(LogisticRegression()), BINARY)(INPUTS)
    assert found.codes.dtype == np.int64
    assert found.probabilities.shape == (40, 2)
    assert found.probabilities.min() >= 0
    assert found.probabilities.max() <= 1
    assert found.values is None


def test_one_row_is_answered_as_among_many() -> None:
    """A row's answer doesn't depend on the rows beside it."""
    run = open_onnx(converted(LogisticRegression()), BINARY)
    one = run({name: values[7:8] for name, values in INPUTS.items()})
    assert np.array_equal(one.probabilities[0], run(INPUTS).probabilities[7])


def test_inputs_that_arent_the_signatures_are_refused() -> None:
    """A model that is asked otherwise than its signature says is not opened."""
    other = REGRESSION.model_copy(update={"features": FEATURES[:1]})
    with pytest.raises(BundleRefused, match=r"has the inputs \['in_000', 'in_001'\]"):
        open_onnx(converted(LinearRegression()), other)


def test_bytes_that_are_no_model_are_refused() -> None:
    """ONNX Runtime's own word is passed on as a refusal."""
    with pytest.raises(BundleRefused, match="can't open the model"):
        open_onnx(b"no model", REGRESSION)


def test_what_the_runtime_cant_answer_is_our_error() -> None:
    """A failure inside ONNX Runtime is ModelFailed, whatever class the vendor raised."""
    run = open_onnx(converted(LinearRegression()), REGRESSION)
    with pytest.raises(ModelFailed, match="failed in ONNX Runtime"):
        run({"in_000": INPUTS["in_000"].astype(np.float64), "in_001": INPUTS["in_001"]})


def test_onnx_runtime_writes_down_and_reports_nothing(tmp_path: Path) -> None:
    """At its import it would leave an id of the machine in the user's home."""
    program = "from evertrain.sessions import _open_session; _open_session(b'no model')"
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env={**os.environ, **homes},
        capture_output=True,
        text=True,
    )

    assert "BundleRefused" in done.stderr
    assert not list(tmp_path.iterdir())
