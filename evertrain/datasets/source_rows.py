"""Owns the types of rows that come as Python values: one a column, told by the values themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from evertrain.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal[
    "boolean", "integer", "float", "text", "JSON", "binary", "date", "time", "local time", "zoned time"
]

_KINDS: Mapping[type, Kind] = {
    bool: "boolean",
    int: "integer",
    float: "float",
    Decimal: "float",
    timedelta: "float",
    str: "text",
    UUID: "text",
    dict: "JSON",
    list: "JSON",
    bytes: "binary",
    bytearray: "binary",
    memoryview: "binary",
    date: "date",
    time: "time",
    datetime: "local time",
}
_INT64 = range(-(2**63), 2**63)


def type_rows(
    names: Sequence[str],
    batches: Iterable[Sequence[Sequence[Any]]],
    told: str,
    unknown: Mapping[str, Kind],
) -> Iterator[pa.RecordBatch]:
    """Give rows as Arrow batches, each column in the type that its values have had so far.

    Decimals become floats, and so do integers beyond 64 bits and those beside floats; spans of time become
    seconds, arrays and documents JSON text, zoned times UTC.

    Args:
        names: The columns.
        batches: Rows of one value a column.
        told: What the rows come from, for messages.
        unknown: The kinds, where they are known, of columns without any value.

    Yields:
        A batch for each one; at last one without rows, which has the final types.

    Raises:
        SourceError: A column mixes types, or holds values of a type that evertrain doesn't know.
    """
    import pyarrow as pa

    kinds: list[Kind | None] = [None] * len(names)
    for rows in batches:
        columns = list(zip(*rows, strict=True))
        kinds = [
            _widen(kind, _kind_of(values, name, told), name, told)
            for kind, values, name in zip(kinds, columns, names, strict=True)
        ]
        arrays = [
            _encode(values, kind, name, told)
            for values, kind, name in zip(columns, kinds, names, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=_schema(names, kinds))
    known = [kind or unknown.get(name) for kind, name in zip(kinds, names, strict=True)]
    schema = _schema(names, known)
    yield pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _kind_of(values: Sequence[Any], name: str, told: str) -> Kind | None:
    kind: Kind | None = None
    for found in set(map(type, values)) - {type(None)}:
        mine = next((_KINDS[base] for base in found.__mro__ if base in _KINDS), None)
        if mine is None:
            raise SourceError(
                f"{told} gives column {name!r} values of type {found.__name__}, which can't be learnt from; "
                "cast it to a number, text or time there, or leave it out."
            )
        kind = _widen(kind, mine, name, told)
    if kind == "integer" and not all(value is None or value in _INT64 for value in values):
        return "float"
    return _zone(values, name, told) if kind == "local time" else kind


def _zone(values: Sequence[datetime | None], name: str, told: str) -> Kind:
    zoned = {value.tzinfo is not None for value in values if value is not None}
    if len(zoned) > 1:
        raise _mixed("local time", "zoned time", name, told)
    return "zoned time" if zoned.pop() else "local time"


def _widen(old: Kind | None, new: Kind | None, name: str, told: str) -> Kind | None:
    if old is None or new is None or old == new:
        return new if old is None else old
    if {old, new} == {"integer", "float"}:
        return "float"
    raise _mixed(old, new, name, told)


def _mixed(old: Kind, new: Kind, name: str, told: str) -> SourceError:
    return SourceError(
        f"{told} gives column {name!r} values of two types, {old} and {new}; expected one. Cast it there."
    )


def _encode(values: Sequence[Any], kind: Kind | None, name: str, told: str) -> pa.Array:
    import pyarrow as pa

    spell = _SPELLED.get(kind) if kind else None
    try:
        if spell is not None:
            values = [None if value is None else spell(value) for value in values]
        return pa.array(values, _arrow_type(kind))
    except (pa.ArrowException, ValueError, OverflowError) as cause:
        raise SourceError(
            f"{told} gives column {name!r} a value that is no {kind}: {cause}. Cast it there."
        ) from cause


_SPELLED: Mapping[Kind, Callable[[Any], Any]] = {
    "float": lambda value: value.total_seconds() if isinstance(value, timedelta) else float(value),
    "text": str,
    "JSON": lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True, default=str),
    "binary": bytes,
}


def _schema(names: Sequence[str], kinds: Sequence[Kind | None]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, _arrow_type(kind)) for name, kind in zip(names, kinds, strict=True)])


def _arrow_type(kind: Kind | None) -> pa.DataType:
    import pyarrow as pa

    if kind is None:
        return pa.null()
    types: Mapping[Kind, pa.DataType] = {
        "boolean": pa.bool_(),
        "integer": pa.int64(),
        "float": pa.float64(),
        "text": pa.string(),
        "JSON": pa.string(),
        "binary": pa.binary(),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "local time": pa.timestamp("us"),
        "zoned time": pa.timestamp("us", "UTC"),
    }
    return types[kind]
