from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import psutil
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC, LinearSVC

from evertrain.columns import InputSpec
from evertrain.native import as_frame, dump_native
from evertrain.packaging.conversion import LIMIT_BYTES, convert_apart, find_inexact, to_onnx
from evertrain.records import Feature, Signature
from evertrain.sessions import open_onnx
from evertrain.training.preprocessing import build_preprocessor

SPECS = [InputSpec("in_000", "float"), InputSpec("in_001", "string")]
FEATURES = (
    Feature(name="x", kind="numeric", type="float"),
    Feature(name="c", kind="categorical", type="string"),
)


def inputs(rows: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=rows).astype(np.float32)
    return {"in_000": numbers, "in_001": rng.choice(np.array(["a", "b"], dtype=object), rows)}


def fit(model: Any, classes: int = 2) -> Pipeline:
    frame = as_frame(inputs())
    target = np.digitize(inputs()["in_000"], np.linspace(-1, 1, classes + 1)[1:-1])
    return Pipeline([("inputs", build_preprocessor(model, SPECS)), ("model", model)]).fit(frame, target)


def signature(has_probabilities: bool) -> Signature:
    return Signature(
        task="binary_classification",
        target="y",
        features=FEATURES,
        classes=(0, 1),
        has_probabilities=has_probabilities,
    )


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC(), Perceptron()])
def test_a_classifier_answers_alike_in_onnx(model: Any) -> None:
    """Labels come as codes, and probabilities as a plain array where there are some."""
    pipeline = fit(model)
    has_probabilities = hasattr(pipeline, "predict_proba")
    found = open_onnx(to_onnx(pipeline, SPECS), signature(has_probabilities))(inputs())
    assert np.array_equal(found.codes, pipeline.predict(as_frame(inputs())))
    if has_probabilities:
        assert np.allclose(found.probabilities, pipeline.predict_proba(as_frame(inputs())), atol=1e-6)
    else:
        assert found.probabilities is None


def test_converting_twice_gives_the_same_bytes() -> None:
    """Nothing made up reaches the bytes, so that a bundle's digest is decided by its inputs."""
    pipeline = fit(LogisticRegression())
    assert to_onnx(pipeline, SPECS) == to_onnx(pipeline, SPECS)


def test_a_child_process_converts() -> None:
    """The child's model answers as the pipeline does."""
    pipeline = fit(LogisticRegression())
    conversion = convert_apart(dump_native(pipeline), SPECS)
    assert conversion.reason is None
    found = open_onnx(conversion.model or b"", signature(True))(inputs())
    assert np.allclose(found.probabilities, pipeline.predict_proba(as_frame(inputs())), atol=1e-6)


def test_what_has_no_converter_is_told_in_words() -> None:
    """An estimator that skl2onnx doesn't know is no error but a reason."""
    conversion = convert_apart(dump_native(fit(DummyClassifier())), SPECS)
    assert conversion == (None, "skl2onnx has no converter for it")


def test_a_conversion_that_takes_too_long_is_ended() -> None:
    """Past the limit the child is killed and there is a reason instead of a model."""
    assert convert_apart(dump_native(fit(LinearRegression())), SPECS, limit_seconds=0.05) == (
        None,
        "the conversion took over 0 seconds",
    )
    assert not [child for child in psutil.Process().children() if "conversion" in " ".join(child.cmdline())]


def test_a_large_model_is_not_converted() -> None:
    """Whether a model is too large is decided by its size, not by the machine's load."""
    assert convert_apart(bytes(LIMIT_BYTES + 1), SPECS) == (
        None,
        "at 20 MB it is too large to convert in time (at most 20 MB)",
    )


def test_a_child_that_dies_is_a_reason() -> None:
    """Bytes that the child can't read end it; its last word is the reason."""
    conversion = convert_apart(b"no model", SPECS)
    assert conversion.model is None
    assert conversion.reason is not None
    assert "exit code 1: evertrain.errors.BundleRefused: The native model can't be read" in conversion.reason


PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-m", "evertrain.packaging.conversion", str(os.getpid()), "[]"]
print(subprocess.Popen(command, stdin=int(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


def test_the_child_ends_with_its_parent() -> None:
    """A killed parent leaves no child behind, not even one that still waits for its model."""
    reads, writes = os.pipe()
    try:
        command = [sys.executable, "-c", PARENT, str(reads)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[reads]) as parent:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
            parent.kill()
        child.wait(timeout=60)
    finally:
        os.close(reads)
        os.close(writes)
    assert not child.is_running()


def calibrated(method: str) -> Pipeline:
    inner = fit(LogisticRegression())
    matrix = inner[:-1].transform(as_frame(inputs()))
    target = inner.predict(as_frame(inputs()))
    model = CalibratedClassifierCV(FrozenEstimator(inner[-1]), method=method).fit(matrix, target)
    return Pipeline([("inputs", inner[0]), ("model", model)])


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        (fit(KNeighborsRegressor()), "breaks its distance ties"),
        (calibrated("isotonic"), "isotonic calibration is not exact in ONNX"),
    ],
)
def test_what_would_be_wrong_without_a_word_is_known(pipeline: Pipeline, reason: str) -> None:
    """Models that convert and then answer wrongly are named before they are converted."""
    assert reason in (find_inexact(pipeline) or "")


@pytest.mark.parametrize(
    "pipeline",
    [
        fit(LogisticRegression()),
        fit(HistGradientBoostingClassifier(max_iter=2)),
        fit(LinearDiscriminantAnalysis(), classes=3),
        fit(SVC(), classes=3),
        calibrated("sigmoid"),
        Pipeline([("model", FunctionTransformer())]),
    ],
)
def test_nothing_is_said_against_what_is_exact(pipeline: Pipeline) -> None:
    """No reason is found against models whose ONNX answers alike."""
    assert find_inexact(pipeline) is None


def test_what_skl2onnx_says_is_told() -> None:
    """A conversion that fails on the model itself ends with exit code 3 and the vendor's first line."""
    # Without the input that the model needs, skl2onnx can't lay out the graph.
    child = subprocess.run(
        [sys.executable, "-m", "evertrain.packaging.conversion", str(os.getpid()), json.dumps(SPECS[:1])],
        input=dump_native(fit(LogisticRegression())),
        capture_output=True,
        check=False,
    )
    assert child.returncode == 3
    assert child.stdout.startswith(b"skl2onnx can't convert it: ")
