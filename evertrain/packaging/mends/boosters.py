"""Owns LightGBM's and XGBoost's way to ONNX: onnxmltools converts them, on thresholds that 32 bits hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from evertrain.packaging.mends.histogram_boosting import floor_to_float32

LIGHTGBM, XGBOOST = "lightgbm", "xgboost"
MISSING = "onnxmltools isn't installed: pip install 'evertrain[{extra}]'"


def booster_of(pipeline: Any) -> str | None:
    """Which booster's estimator *pipeline* ends in; None if it is none."""
    packages = {kind.__module__.partition(".")[0] for kind in type(pipeline[-1]).__mro__}
    return next((name for name in (LIGHTGBM, XGBOOST) if name in packages), None)


def find_missing_converter(pipeline: Any) -> str | None:
    """Say what is missing to convert *pipeline*'s booster; None if nothing is, or it has none."""
    from importlib.util import find_spec

    booster = booster_of(pipeline)
    if booster is None or find_spec("onnxmltools") is not None:
        return None
    return MISSING.format(extra=booster)


@contextmanager
def booster_converters(pipeline: Any) -> Iterator[None]:
    """While the block runs, skl2onnx converts the booster that *pipeline* ends in."""
    booster = booster_of(pipeline)
    if booster is None:
        yield
        return
    _register(type(pipeline[-1]), booster)
    if booster == XGBOOST:
        # Its thresholds are 32-bit numbers already.
        yield
        return
    with _floored_thresholds():
        yield


def _register(kind: type, booster: str) -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from sklearn.base import is_classifier

    if booster == LIGHTGBM:
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as convert
    else:
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as convert
    classifies = is_classifier(kind())
    shapes = (
        calculate_linear_classifier_output_shapes if classifies else calculate_linear_regressor_output_shapes
    )
    options: dict[str, list[Any]] = (
        {"nocl": [True, False], "zipmap": [True, False, "columns"]} if classifies else {}
    )
    if booster == LIGHTGBM and not classifies:
        options = {"split": None}  # type: ignore[dict-item]
    update_registered_converter(kind, f"Evertrain{kind.__name__}", shapes, convert, options=options)


@contextmanager
def _floored_thresholds() -> Iterator[None]:
    from onnx import helper

    make = helper.make_attribute

    def make_floored(key: str, value: Any, *others: Any, **named: Any) -> Any:
        if key == "nodes_values":
            value = floor_to_float32(np.asarray(value, dtype=np.float64)).tolist()
        return make(key, value, *others, **named)

    helper.make_attribute = make_floored
    try:
        yield
    finally:
        helper.make_attribute = make
