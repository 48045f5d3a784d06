"""Owns ONNX Runtime: the only module that opens or runs a model in ONNX."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from evertrain.columns import input_names
from evertrain.errors import BundleRefused, ModelFailed
from evertrain.predictions import Prediction, Runner
from evertrain.records import Signature

_ERRORS_ONLY = 3


def open_onnx(data: bytes, signature: Signature) -> Runner:
    """Open a model in ONNX: one thread, no telemetry.

    Args:
        data: The model's bytes; one input of shape (n, 1) for each of ``input_names(signature.features)``.
        signature: What the model is asked with and answers.

    Raises:
        BundleRefused: ONNX Runtime can't open it, or its inputs aren't the signature's.
    """
    session = _open_session(data)
    expected = [spec.name for spec in input_names(signature.features)]
    found = [each.name for each in session.get_inputs()]
    if sorted(expected) != sorted(found):
        raise BundleRefused(f"The ONNX model has the inputs {found}; its signature asks for {expected}.")
    outputs = [each.name for each in session.get_outputs()]
    if signature.classes is None:
        return lambda inputs: _regress(session, outputs[:1], inputs)
    return lambda inputs: _classify(session, outputs[: 1 + signature.has_probabilities], inputs)


def _open_session(data: bytes) -> Any:
    # Read at its import, which else writes an id of this machine into the user's home and reports it.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as cause:
        raise BundleRefused(f"ONNX Runtime can't open the model: {_first_line(cause)}") from cause


def _regress(session: Any, outputs: list[str], inputs: Mapping[str, np.ndarray]) -> Prediction:
    return Prediction(values=_run(session, outputs, inputs)[0].reshape(-1).astype(np.float64))


def _classify(session: Any, outputs: list[str], inputs: Mapping[str, np.ndarray]) -> Prediction:
    codes, *scores = _run(session, outputs, inputs)
    # Sums of float32 leave [0, 1] by a hair.
    probabilities = scores[0].astype(np.float64).clip(0.0, 1.0) if scores else None
    return Prediction(codes=codes.reshape(-1).astype(np.int64), probabilities=probabilities)


def _run(session: Any, outputs: list[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    feeds = {name: values.reshape(-1, 1) for name, values in inputs.items()}
    try:
        found: list[np.ndarray] = session.run(outputs, feeds)
    except Exception as cause:
        raise ModelFailed(f"The model failed in ONNX Runtime: {_first_line(cause)}") from cause
    return found


def _first_line(cause: Exception) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0][:300]
