"""Owns how CSV is read: its delimiter, its header, and every value as text."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from evertrain.datasets.sql import quote_paths, quote_text
from evertrain.errors import SourceError

DELIMITERS = (",", ";", "\t", "|")
SNIFFED_RECORDS = 20


class CsvShape(NamedTuple):
    """What must be alike for files to be read together."""

    delimiter: str
    header: tuple[str, ...]


def read_shape(path: Path) -> CsvShape:
    """Find the delimiter and the header of *path*; a nameless column is called by its place: ``column0``.

    Raises:
        SourceError: It isn't UTF-8 or isn't CSV.
    """
    try:
        tried = {delimiter: _read_records(path, delimiter) for delimiter in DELIMITERS}
    except UnicodeDecodeError as cause:
        raise SourceError(f"{str(path)!r} is not UTF-8; save it as UTF-8.", file=str(path)) from cause
    except csv.Error as cause:
        raise SourceError(f"{str(path)!r} is not CSV: {cause}.", file=str(path)) from cause
    delimiter = max(DELIMITERS, key=lambda each: _fit(tried[each]))
    names = tuple(name or f"column{place}" for place, name in enumerate(tried[delimiter][0]))
    return CsvShape(delimiter, names)


def scan_sql(shape: CsvShape, paths: Sequence[Path]) -> str:
    """A SELECT over *paths*, which are of one shape, with every value as text."""
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in shape.header)
    return (
        f"FROM read_csv({quote_paths(paths)}, auto_detect=false, header=true, skip=0, comment='', "
        f"delim={quote_text(shape.delimiter)}, quote='\"', escape='\"', columns={{{columns}}}, "
        "hive_partitioning=false)"
    )


def _read_records(path: Path, delimiter: str) -> list[list[str]]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        return list(islice(csv.reader(file, delimiter=delimiter), SNIFFED_RECORDS))


def _fit(records: list[list[str]]) -> tuple[bool, bool, int, int]:
    width = len(records[0])
    alike = all(len(record) in (0, width) for record in records)
    # The wrong delimiter cuts quoted fields open, and then their quotes are left over.
    quotes = sum(field.count('"') for record in records for field in record)
    return width > 1, alike, -quotes, width
