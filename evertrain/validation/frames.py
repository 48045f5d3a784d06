"""Owns how a table becomes the pandas frame that Great Expectations looks at; knows no expectation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Beyond this a float64, which is what pandas makes of integers with gaps, no longer tells neighbours apart.
_EXACT_INTEGER = 2**53


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Turn *table* into a frame of the same rows, its columns named by ``frame_names``.

    Dates and times become naive UTC timestamps, decimals floats; booleans and strings with gaps become
    objects, integers with gaps floats, or objects where a float would not hold them exactly.
    """
    import pandas as pd

    names = frame_names(table.column_names)
    return pd.DataFrame({names[name]: _to_series(table[name]) for name in table.column_names}, copy=False)


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


def is_temporal(table: pa.Table, name: str) -> bool:
    """Whether *name* is a column of dates or times."""
    import pyarrow as pa

    return name in table.column_names and bool(pa.types.is_temporal(table.schema.field(name).type))


def is_integral(table: pa.Table, name: str) -> bool:
    """Whether *name* is a column of integers."""
    import pyarrow as pa

    return name in table.column_names and bool(pa.types.is_integer(table.schema.field(name).type))


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
