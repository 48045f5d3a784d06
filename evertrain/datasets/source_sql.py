"""Owns the SQL that reads a source's files, whatever their format, with every column typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.datasets import csv_files, read_faults
from evertrain.datasets.source_files import format_of, read_head
from evertrain.datasets.sql import quote_name, quote_paths, quote_text
from evertrain.datasets.tables import Table
from evertrain.datasets.text_types import ANY, TIMES, infer_types, typed_sql
from evertrain.errors import SourceError
from evertrain.records import LogicalType

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_JSON_OPTIONS = "hive_partitioning=false, maximum_object_size=16777216"
_JSON_INFERENCE = (
    "records='true', sample_size=-1, union_by_name=true, map_inference_threshold=-1, "
    "field_appearance_threshold=0"
)
_SPELLED_ANEW = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIME", "UUID", '"NULL"')


def source_sql(connection: DuckDBPyConnection, paths: Sequence[Path]) -> str:
    """The SQL that reads *paths* with every column typed.

    Args:
        connection: Its view ``scanned`` is taken where texts are to be typed.
        paths: Files of one format; columns are matched by name across them.

    Raises:
        SourceError: A file can't be read, is empty, or has a column twice.
    """
    kind = format_of(paths)
    heads = [read_head(path) for path in paths]
    if kind == "csv":
        return _csv_sql(connection, paths)
    files = quote_paths(paths)
    if kind == "parquet":
        for path in paths:
            read_faults.refuse_repeated(_parquet_names(path), path)
        return f"FROM read_parquet({files}, union_by_name=true, hive_partitioning=false)"
    return _json_sql(connection, files, is_array=heads[0].lstrip()[:1] == b"[")


def _csv_sql(connection: DuckDBPyConnection, paths: Sequence[Path]) -> str:
    shapes: dict[csv_files.CsvShape, list[Path]] = {}
    for path in paths:
        shape = csv_files.read_shape(path)
        read_faults.refuse_repeated(shape.header, path)
        shapes.setdefault(shape, []).append(path)
    scans = [csv_files.scan_sql(shape, alike) for shape, alike in shapes.items()]
    names = [name for shape in shapes for name in shape.header]
    return _typed_sql(connection, " UNION ALL BY NAME ".join(scans), dict.fromkeys(names, "VARCHAR"), ANY)


def _json_sql(connection: DuckDBPyConnection, files: str, *, is_array: bool) -> str:
    shape = f"format='{'array' if is_array else 'newline_delimited'}', {_JSON_OPTIONS}"
    found = connection.sql(f"FROM read_json({files}, {shape}, {_JSON_INFERENCE})")
    kinds = {name: str(kind) for name, kind in zip(found.columns, found.types, strict=True)}
    # DuckDB's own idea of times would spell texts anew, and miss some: they are read as text, like in CSV.
    kinds = {name: "VARCHAR" if kind in _SPELLED_ANEW else kind for name, kind in kinds.items()}
    columns = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in kinds.items())
    return _typed_sql(connection, f"FROM read_json({files}, {shape}, columns={{{columns}}})", kinds, TIMES)


def _typed_sql(
    connection: DuckDBPyConnection, scan: str, kinds: Mapping[str, str], allowed: Sequence[LogicalType]
) -> str:
    """Type what *scan* gives: its text columns by their values, the others as they are."""
    connection.execute(f"CREATE VIEW scanned AS {scan}")
    scanned = Table(connection, "scanned", (), ())

    def tally(expressions: Sequence[str], limit: int | None) -> tuple[int, ...]:
        rows = scanned if limit is None else replace(scanned, name=f"(FROM scanned LIMIT {limit})")
        return rows.fetch_one(*expressions)

    texts = [name for name, kind in kinds.items() if kind == "VARCHAR"]
    types = infer_types(texts, tally, allowed)
    typed = [f"{typed_sql(name, types.get(name, 'string'))} AS {quote_name(name)}" for name in kinds]
    return f"SELECT {', '.join(typed)} FROM scanned"  # noqa: S608 - names are quoted


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as cause:
        raise SourceError(
            f"{str(path)!r} is not Parquet, or is damaged: {read_faults.first_lines(str(cause))}",
            file=str(path),
        ) from cause
