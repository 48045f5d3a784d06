"""Owns looking into a YAML that may be wrong anywhere: what isn't of the kind asked for isn't there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from evertrain.config.faults import Path

Raw = Mapping[str, Any]


def pick(raw: Any, *path: str | int) -> Any:
    """Find the value at *path*; None where there is none."""
    for element in path:
        if isinstance(raw, dict) and isinstance(element, str):
            raw = raw.get(element)
        elif isinstance(raw, list) and isinstance(element, int) and element < len(raw):
            raw = raw[element]
        else:
            return None
    return raw


def pick_text(raw: Raw, *path: str | int) -> str | None:
    """Find the text at *path*; None where there is none."""
    value = pick(raw, *path)
    return value if isinstance(value, str) else None


def pick_numbers(raw: Raw, *path: str | int) -> list[float]:
    """Find the numbers of the list at *path*, leaving out what is none."""
    values = pick(raw, *path)
    return [value for value in values if is_number(value)] if isinstance(values, list) else []


def texts(raw: Raw, *path: str | int) -> list[tuple[Path, str]]:
    """List the texts of the list at *path*, each with its own path."""
    values = pick(raw, *path)
    places = enumerate(values) if isinstance(values, list) else ()
    return [((*path, place), value) for place, value in places if isinstance(value, str)]


def mappings(raw: Raw, *path: str | int) -> list[tuple[Path, dict[str, Any]]]:
    """List the mappings in the list or mapping at *path*, each with its own path."""
    values = pick(raw, *path)
    if isinstance(values, dict):
        places: list[tuple[str | int, Any]] = list(values.items())
    else:
        places = list(enumerate(values)) if isinstance(values, list) else []
    return [((*path, place), value) for place, value in places if isinstance(value, dict)]


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether *value* is a number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
