"""Owns what a bundle remembers of its training rows, feature by feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evertrain.columns import MISSING, is_missing, parse_instant
from evertrain.records import Feature
from evertrain.spelling import spell_categories

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP_CATEGORIES = 20
MOST_CATEGORIES = 10_000
"""Of a feature with more of them no list is kept: the service then can't tell which it never saw."""


def describe_features(features: Sequence[Feature], columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Describe each feature's raw training values.

    Args:
        features: In their order.
        columns: By column name, shape (n,).

    Returns:
        By feature name, JSON values: ``kind``, ``count``, ``missing_share``. Numeric ones also ``mean``,
        ``std``, ``min``, ``max``, ``quantiles``; categorical ones ``distinct``, ``top`` (shares of rows) and,
        up to 10,000 of them, ``categories``: all that were seen, as they are spelled; datetime ones ``min``
        and ``max``.
    """
    describers = {"numeric": _describe_numbers, "categorical": _describe_texts, "datetime": _describe_times}
    return {
        feature.name: {"kind": feature.kind, **describers[feature.kind](columns[feature.name])}
        for feature in features
    }


def _describe_numbers(values: np.ndarray) -> dict[str, Any]:
    numbers = as_numbers(values)
    known = numbers[~np.isnan(numbers)]
    facts = _count(len(numbers), len(known))
    if not known.size:
        return facts
    quantiles = np.quantile(known, QUANTILES).tolist()
    return {
        **facts,
        "mean": float(known.mean()),
        "std": float(known.std()),
        "min": float(known.min()),
        "max": float(known.max()),
        "quantiles": {str(share): value for share, value in zip(QUANTILES, quantiles, strict=True)},
    }


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Turn numbers and booleans, missing ones among them, into float64."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    return np.array([np.nan if is_missing(value) else float(value) for value in values], dtype=np.float64)


def _describe_texts(values: np.ndarray) -> dict[str, Any]:
    counts = Counter(spell_categories(_as_texts(values)).tolist())
    missing = counts.pop(MISSING, 0)
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_CATEGORIES]
    rows = len(values)
    facts = {
        **_count(rows, rows - missing),
        "distinct": len(counts),
        "top": {text: count / rows for text, count in top},
    }
    return {**facts, "categories": sorted(counts)} if len(counts) <= MOST_CATEGORIES else facts


def _as_texts(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "M":
        return values
    texts = np.datetime_as_string(values).astype(object)
    texts[np.isnat(values)] = None
    return texts


def _describe_times(values: np.ndarray) -> dict[str, Any]:
    instants = [parse_instant(value) for value in values]
    known = [instant for instant in instants if instant is not None]
    facts = _count(len(instants), len(known))
    return {**facts, "min": min(known).isoformat(), "max": max(known).isoformat()} if known else facts


def _count(rows: int, known: int) -> dict[str, Any]:
    return {"count": known, "missing_share": (rows - known) / rows if rows else 0.0}
