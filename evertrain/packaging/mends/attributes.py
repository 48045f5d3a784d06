"""Owns the integers of an ONNX node: NumPy's and booleans among them are refused, and mean the same."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def plain_integers() -> Iterator[None]:
    """While the block runs, onnx takes lists that mix Python's and NumPy's integers and booleans.

    skl2onnx makes such lists of histogram boosting's trees, whose nodes are a structured array.
    """
    from onnx import helper

    make = helper.make_attribute

    def make_plain(key: str, value: Any, *others: Any, **named: Any) -> Any:
        return make(key, _as_integers(value), *others, **named)

    helper.make_attribute = make_plain
    try:
        yield
    finally:
        helper.make_attribute = make


def _as_integers(value: Any) -> Any:
    import numpy as np

    whole = (numbers.Integral, np.bool_)
    if isinstance(value, list) and value and all(isinstance(one, whole) for one in value):
        return [int(one) for one in value]
    return value
