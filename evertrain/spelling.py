"""Owns how a category is spelled and what counts as missing; numpy only, the same in training and serving."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

MISSING = "__missing__"
_TEXT = frozenset({str, type(None)})


def is_missing(value: object) -> bool:
    """Whether *value* stands for no value: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    if isinstance(value, float | np.floating):
        return bool(value != value)  # noqa: PLR0124 - NaN is the number that differs from itself
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NAType", "NaTType")


def spell_category(value: object) -> str:
    """Spell one value as the category it is.

    Integral numbers have no point (1, 1.0 and "1" are one), booleans are ``true`` and ``false``, other
    numbers are spelled by ``repr``, what is missing is ``__missing__``.

    Raises:
        ValueError: *value* is neither text nor a number nor a boolean nor missing.
    """
    if isinstance(value, str):
        return str(value)
    if is_missing(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating | Decimal):
        return _spell_real(_shortest(value))
    raise ValueError("expected text, a number or a boolean")


def spell_categories(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Spell each of *values*.

    Args:
        values: Shape (n,): an array of numbers, booleans or text, or a list of JSON values.

    Returns:
        Object array of str, shape (n,).

    Raises:
        ValueError: A value is no category; see ``spell_category``.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        found, places = np.unique(values, return_inverse=True)
        return _as_objects([spell_category(value) for value in found])[places]
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    if not _TEXT.issuperset(map(type, plain)):
        return _as_objects([spell_category(value) for value in plain])
    return _as_objects([MISSING if value is None else value for value in plain] if None in plain else plain)


def _as_objects(texts: Sequence[str]) -> np.ndarray:
    return np.array(texts, dtype=object)


def _shortest(value: Any) -> float:
    # A 32-bit 0.1 is the caller's 0.1, not the 0.10000000149011612 that widening makes of it.
    return float(str(value)) if isinstance(value, np.floating) else float(value)


def _spell_real(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
