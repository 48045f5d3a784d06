"""Owns durations as the YAML writes them: ``30s``, ``10m``, ``24h``, ``30d``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^\d+(\.\d+)?[smhd]$"
UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
LONGEST = timedelta(days=36_500)


def parse_duration(value: Any) -> timedelta:
    """Read a duration such as ``10m``.

    Raises:
        ValueError: *value* is not a number followed by s, m, h or d, or is over 100 years.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value, re.ASCII):
        raise ValueError("expected a duration such as 30s, 10m, 24h or 30d")
    seconds = float(value[:-1]) * UNIT_SECONDS[value[-1]]
    if seconds > LONGEST.total_seconds():
        raise ValueError("expected a duration of at most 36500d")
    return timedelta(seconds=seconds)


def spell_duration(value: timedelta) -> str:
    """Write *value* in the largest unit that keeps it whole: 3,600 s is ``1h``."""
    seconds = value.total_seconds()
    for unit, size in UNIT_SECONDS.items():
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def spell_seconds(seconds: float) -> str:
    """Write a span as a person would say it, in its largest unit to two digits: 5,400 s is ``1.5h``."""
    for unit, size in UNIT_SECONDS.items():
        if seconds >= size:
            return f"{float(f'{seconds / size:.2g}'):g}{unit}"
    return f"{seconds:.2g}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(spell_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["30s", "10m", "24h", "30d"]}),
]


def refuse_nothing(value: timedelta) -> timedelta:
    """Refuse a span in which nothing can happen.

    Raises:
        ValueError: *value* is zero.
    """
    if not value:
        raise ValueError("expected a duration over 0s")
    return value


Span = Annotated[Duration, AfterValidator(refuse_nothing)]
