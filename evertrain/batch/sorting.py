"""Owns the order in which a chunk's rows are asked: like beside like, and rows that are alike only once.

A tree is walked several times faster by rows that go the same way: the processor guesses each branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from evertrain.columns import Coded, Values
from evertrain.predictions import Prediction

ASKED_AT_ONCE = 8_192
"""So many rows stay in a core's cache while the model works on them."""

Inputs = Mapping[str, np.ndarray]


def predict_sorted(ask: Callable[[Inputs], Prediction], inputs: Inputs, keys: list[np.ndarray]) -> Prediction:
    """Answer rows as *ask* does, each as if it were asked alone.

    Args:
        ask: The model behind the column layer.
        inputs: By name, shape (n,).
        keys: What tells rows apart, shape (n,) each: rows that are alike in all of them are alike.
    """
    order = np.lexsort(keys)
    rows = len(order)
    fresh = np.zeros(rows, dtype=bool)
    fresh[:1] = True
    for key in keys:
        ordered = key[order]
        # NaN differs from itself: rows with gaps are asked one by one.
        fresh[1:] |= ordered[1:] != ordered[:-1]
    asked = order[fresh]
    parts = [
        ask({name: values[asked[start : start + ASKED_AT_ONCE]] for name, values in inputs.items()})
        for start in range(0, len(asked), ASKED_AT_ONCE)
    ]
    places = np.empty(rows, dtype=np.intp)
    places[order] = np.cumsum(fresh) - 1
    return Prediction(
        codes=_gather([part.codes for part in parts], places),
        values=_gather([part.values for part in parts], places),
        probabilities=_gather([part.probabilities for part in parts], places),
    )


def sort_keys(inputs: Inputs, columns: list[Values]) -> list[np.ndarray] | None:
    """What tells rows apart: numbers as they are, categories by place; None where texts have no places.

    Args:
        inputs: What the column layer made of *columns*.
        columns: The features' values, in their order.
    """
    keys = [values for values in inputs.values() if values.dtype != object]
    texts = sum(values.dtype == object for values in inputs.values())
    coded = [values.places for values in columns if isinstance(values, Coded)]
    return [*keys, *coded] if texts <= len(coded) else None


def _gather(arrays: list[np.ndarray | None], places: np.ndarray) -> np.ndarray | None:
    found = [array for array in arrays if array is not None]
    return np.concatenate(found)[places] if found else None
