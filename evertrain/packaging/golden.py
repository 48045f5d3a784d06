"""Owns the choice of golden rows: raw held-out rows as JSON, with missing and unseen values among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from evertrain.bundle_files import Golden
from evertrain.columns import encode_inputs, is_missing
from evertrain.predictions import Runner
from evertrain.records import Feature

HELD_OUT_ROWS = 16
UNSEEN = "never seen"


def make_golden(
    features: Sequence[Feature], columns: Mapping[str, np.ndarray], run: Runner, tolerance: float
) -> Golden:
    """Choose up to 18 rows and write down what *run* answers.

    Args:
        features: What the model is asked with.
        columns: Raw held-out rows by column, shape (n,), n at least 1.
        run: The model behind the column layer.
        tolerance: How far a later answer may differ.
    """
    rows = choose_rows(features, columns)
    answers = run(encode_inputs(features, rows))
    return Golden(
        columns=rows,
        tolerance=tolerance,
        codes=_as_list(answers.codes),
        values=_as_list(answers.values),
        probabilities=_as_list(answers.probabilities),
    )


def choose_rows(features: Sequence[Feature], columns: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """Choose 16 held-out rows evenly, then one with all values missing and one with all texts unseen."""
    count = len(columns[features[0].name])
    places = np.unique(np.linspace(0, count - 1, num=min(count, HELD_OUT_ROWS), dtype=np.int64))
    return {each.name: _choose_values(each, columns[each.name], places) for each in features}


def _choose_values(feature: Feature, values: np.ndarray, places: np.ndarray) -> list[Any]:
    held_out = [to_json(values[place]) for place in places]
    is_text = feature.kind == "categorical" and feature.type == "string"
    return [*held_out, None, UNSEEN if is_text else held_out[0]]


def to_json(value: Any) -> Any:
    """Turn one raw value into what a caller would send: null, text, a number, a boolean or an ISO time."""
    if is_missing(value):
        return None
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[us]").item().isoformat())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.floating | Decimal):
        # By its spelling: a 32-bit 0.1 is sent as 0.1.
        return float(str(value))
    return value.item() if isinstance(value, np.generic) else value


def _as_list(array: np.ndarray | None) -> Any:
    return None if array is None else array.tolist()
