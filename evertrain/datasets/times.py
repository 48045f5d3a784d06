"""Owns times in SQL: what counts as an ISO 8601 time, and how one becomes a TIMESTAMP in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

DATE_PATTERN = r"\d{4}-\d{2}-\d{2}"
_PATTERN = DATE_PATTERN + r"([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?"


def is_time_sql(column: str) -> str:
    """The test whether the text *column* is an ISO time or date."""
    return f"regexp_full_match({column}, '{_PATTERN}') AND try_cast({column} AS TIMESTAMPTZ) IS NOT NULL"


def time_sql(column: str) -> str:
    """The expression that reads the ISO text *column*; without a zone it is UTC; what is no time is NULL."""
    return f"CAST(try_cast({column} AS TIMESTAMPTZ) AS TIMESTAMP)"


def literal(value: datetime) -> str:
    """Write *value*, naive UTC, as a literal."""
    return f"TIMESTAMP '{value.isoformat(sep=' ')}'"


def to_naive(value: datetime) -> datetime:
    """Drop the zone after a change to UTC; without one *value* is UTC already."""
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def to_aware(value: datetime) -> datetime:
    """Say of a naive time that it is UTC."""
    return value.replace(tzinfo=UTC)


def show_time(value: datetime) -> str:
    """Write *value*, naive UTC, for a user, to the second."""
    return f"{value:%Y-%m-%dT%H:%M:%S}Z"
