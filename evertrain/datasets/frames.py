"""Owns how a table, and what an expectation says of it, become what Great Expectations looks at: pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evertrain.expectations import COLUMN_KEYS, columns_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Beyond this a float64, which is what pandas makes of integers with gaps, no longer tells neighbours apart.
_EXACT_INTEGER = 2**53
_VALUE_KEYS = ("min_value", "max_value", "value_set", "value_pairs_set")


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Turn *table* into a frame of the same rows, its columns named by ``frame_names``.

    Dates and times become naive UTC timestamps, decimals floats; booleans and strings with gaps become
    objects, integers with gaps floats, or objects where a float would not hold them exactly.
    """
    import pandas as pd

    names = frame_names(table.column_names)
    # Copied once into one block a type: else each of Great Expectations' own copies would do that again.
    return pd.DataFrame({names[name]: _to_series(table[name]) for name in table.column_names}, copy=True)


def frame_names(names: Sequence[str]) -> dict[str, str]:
    """Name the frame's columns: as the table's, save those that differ from an earlier one in case only.

    Great Expectations takes such columns for one and the same.
    """
    seen: set[str] = set()
    found: dict[str, str] = {}
    for place, name in enumerate(names):
        found[name] = f"{name} ({place})" if name.lower() in seen else name
        seen.add(name.lower())
    return found


def fit_arguments(arguments: Mapping[str, Any], table: pa.Table) -> dict[str, Any]:
    """Fit an expectation's *arguments* to the frame of *table*: columns' names and times as it has them."""
    names = frame_names(table.column_names)
    fitted = dict(arguments)
    for key in COLUMN_KEYS:
        if key in fitted:
            fitted[key] = _replaced(fitted[key], names)
    if any(is_temporal(table, name) for name in columns_of(arguments)):
        fitted |= {key: _moments(fitted[key]) for key in _VALUE_KEYS if key in fitted}
    return fitted


def is_temporal(table: pa.Table, name: str) -> bool:
    """Whether *name* is a column of dates or times."""
    import pyarrow as pa

    return name in table.column_names and bool(pa.types.is_temporal(table.schema.field(name).type))


def is_integral(table: pa.Table, name: str) -> bool:
    """Whether *name* is a column of integers."""
    import pyarrow as pa

    return name in table.column_names and bool(pa.types.is_integer(table.schema.field(name).type))


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list | tuple):
        return [_replaced(item, names) for item in value]
    return names.get(value, value)


def _moments(value: Any) -> Any:
    """Dates and times of the YAML, which are strings, as what the frame holds: naive UTC."""
    if isinstance(value, list | tuple):
        return [_moments(item) for item in value]
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _to_series(column: pa.ChunkedArray) -> pd.Series[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _to_series(column.cast(kind.value_type))
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        if column.type.tz:
            column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us"))
    exact = pa.types.is_integer(kind) and column.null_count > 0 and _has_large(column)
    series: pd.Series[Any] = column.to_pandas(integer_object_nulls=exact)
    return series


def _has_large(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    extremes = pc.min_max(column).as_py()
    return any(abs(value or 0) > _EXACT_INTEGER for value in extremes.values())
