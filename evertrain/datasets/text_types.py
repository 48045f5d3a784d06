"""Owns the types of text columns: the one that all values of a column have, and how they are read as it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from evertrain.datasets.sql import quote_name
from evertrain.datasets.times import DATE_PATTERN, is_time_sql, time_sql
from evertrain.records import LogicalType

SAMPLE_ROWS = 2_048

# A number as people write it: no leading zeros (00501 is a code), no words such as inf.
_INTEGER = r"[+-]?(0|[1-9]\d*)"
_FLOAT = r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_NUMERIC = frozenset({"boolean", "integer", "float"})
_ABSENT = "IN ('', 'NA', 'NaN', 'nan', 'null')"
# In order of preference: the first that fits all values is the column's type.
_TESTS: Mapping[LogicalType, Callable[[str], str]] = {
    "boolean": lambda text: f"lower({text}) IN ('true', 'false')",
    "integer": lambda text: (
        f"regexp_full_match({text}, '{_INTEGER}') AND try_cast({text} AS BIGINT) IS NOT NULL"
    ),
    "float": lambda text: f"regexp_full_match({text}, '{_FLOAT}') AND isfinite(try_cast({text} AS DOUBLE))",
    "date": lambda text: (
        f"regexp_full_match({text}, '{DATE_PATTERN}') AND try_cast({text} AS DATE) IS NOT NULL"
    ),
    "timestamp": is_time_sql,
}
_CASTS: Mapping[LogicalType, Callable[[str], str]] = {
    "boolean": lambda text: f"try_cast(lower({text}) AS BOOLEAN)",
    "integer": lambda text: f"try_cast({text} AS BIGINT)",
    "float": lambda text: f"nullif(try_cast({text} AS DOUBLE), 'NaN'::DOUBLE)",
    "date": lambda text: f"CAST({text} AS DATE)",
    "timestamp": time_sql,
}
ANY = tuple(_TESTS)
TIMES: tuple[LogicalType, ...] = ("date", "timestamp")

Tally = Callable[[Sequence[str], int | None], tuple[int, ...]]
Candidates = dict[str, tuple[LogicalType, ...]]


def infer_types(
    names: Sequence[str], tally: Tally, kinds: Sequence[LogicalType] = ANY
) -> dict[str, LogicalType]:
    """Find the type that all values of each column have.

    Args:
        names: The columns, all text.
        kinds: The types that they may have, besides text.
        tally: Evaluates aggregates over the first so many rows, or over all rows (None).
    """
    candidates: Candidates = {name: tuple(kinds) for name in names}
    # What a few rows rule out is ruled out: most tests need not see the other rows.
    candidates = _narrow(candidates, lambda expressions: tally(expressions, SAMPLE_ROWS), least=0)
    candidates = _narrow(candidates, lambda expressions: tally(expressions, None), least=1)
    return {name: next(iter(kinds), "string") for name, kinds in candidates.items()}


def typed_sql(name: str, kind: LogicalType) -> str:
    """The expression that turns the text column *name* into its type."""
    return _CASTS[kind](_trimmed(name)) if kind in _CASTS else quote_name(name)


def _narrow(
    candidates: Candidates, tally: Callable[[Sequence[str]], tuple[int, ...]], *, least: int
) -> Candidates:
    undecided = {name: kinds for name, kinds in candidates.items() if kinds}
    if not undecided:
        return candidates
    counts = iter(tally([each for name, kinds in undecided.items() for each in _counted(name, kinds)]))
    narrowed = dict(candidates)
    for name, kinds in undecided.items():
        values, absent, *matching = islice(counts, 2 + len(kinds))
        narrowed[name] = tuple(
            kind
            for kind, matches in zip(kinds, matching, strict=True)
            if matches >= least and matches + (absent if kind in _NUMERIC else 0) == values
        )
    return narrowed


def _counted(name: str, kinds: Sequence[LogicalType]) -> list[str]:
    text = _trimmed(name)
    tests = [f"{text} {_ABSENT}", *(_TESTS[kind](text) for kind in kinds)]
    return [f"count({quote_name(name)})", *(f"count(*) FILTER (WHERE {test})" for test in tests)]


def _trimmed(name: str) -> str:
    return f"trim({quote_name(name)})"
