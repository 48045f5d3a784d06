"""Owns the look at data before there is a pipeline: the target's task, the times, what expectations hold."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from evertrain.columns import LARGEST
from evertrain.datasets.features import NAME_LIKE_SHARE
from evertrain.datasets.hints import name_closest
from evertrain.datasets.queries import open_table
from evertrain.datasets.roles import INTEGRAL, spell_type
from evertrain.datasets.source_reading import source_files
from evertrain.datasets.tables import Cell, Table
from evertrain.errors import DataRefused, SourceError
from evertrain.records import Task
from evertrain.sources import FilesSource

# So many different whole numbers at most are taken for classes.
MOST_NUMBERED_CLASSES = 20
# A whole number that fewer rows have is the tail of a count, such as the one customer with 11 visits.
FEWEST_ROWS_OF_NUMBERED_CLASS = 10
MOST_LISTED_VALUES = 12


class TimeColumn(NamedTuple):
    """A column of times with a value in every row, and from its oldest to its newest."""

    name: str
    span: timedelta


class Extent(NamedTuple):
    """What a column's values are: without gaps, between two numbers, or of a few texts; None: neither."""

    name: str
    complete: bool
    ends: tuple[float, float] | None
    values: tuple[str, ...] | None


class Look(NamedTuple):
    """What was seen: the task that suits the target, the columns of times, and each column's extent.

    ``infinite`` are the columns with numbers that no model takes.
    """

    target: str
    task: Task
    times: tuple[TimeColumn, ...]
    extents: tuple[Extent, ...]
    infinite: tuple[str, ...] = ()


def look_at(uri: str, target: str) -> Look:
    """Look at the files at *uri*.

    Raises:
        SourceError: There is no such file or column, or it can't be read.
        DataRefused: The target can't be learnt.
    """
    source = FilesSource(type="files", uri=uri)
    with source_files(source) as paths, open_table(paths, None) as table:
        if target not in table.names:
            raise SourceError(
                f"--target {target!r} is no column of {uri!r}: {name_closest(target, table.names)}",
                columns=[target],
            )
        task = _task_of(table, table.cell(target))
        others = [cell for cell in table.cells if cell.name != target]
        times = [_time_of(table, cell) for cell in others if cell.type in ("date", "timestamp")]
        extents = tuple(_extent_of(table, cell) for cell in others)
        infinite = tuple(cell.name for cell in others if cell.type == "float" and _is_infinite(table, cell))
    return Look(target, task, tuple(each for each in times if each is not None), extents, infinite)


def _task_of(table: Table, cell: Cell) -> Task:
    if cell.type in ("date", "timestamp", "other"):
        raise DataRefused(
            f"--target {cell.name!r} holds {spell_type(cell.type)}; expected text, booleans or numbers."
        )
    distinct, values = table.fetch_one(f"count(DISTINCT {cell.sql})", f"count({cell.sql})")
    if distinct < 2:
        found = "the same value in every row" if distinct else "no value in any row"
        raise DataRefused(f"--target {cell.name!r} has {found}; there is nothing to learn.")
    if cell.type == "string" and distinct > max(2, NAME_LIKE_SHARE * values):
        raise DataRefused(
            f"--target {cell.name!r} has {distinct:,} different texts in {values:,} rows: names, not classes."
        )
    if cell.type == "float" and not _is_whole(table, cell):
        return "regression"
    if distinct == 2:
        return "binary_classification"
    is_count = cell.type in ("integer", "float") and (
        distinct > MOST_NUMBERED_CLASSES or _rarest_rows(table, cell) < FEWEST_ROWS_OF_NUMBERED_CLASS
    )
    return "regression" if is_count else "multiclass_classification"


def _rarest_rows(table: Table, cell: Cell) -> int:
    rarest = f"GROUP BY {cell.sql} ORDER BY count(*) LIMIT 1"
    ((rows,),) = table.fetch("count(*)", where=f"{cell.sql} IS NOT NULL", rest=rarest)
    return int(rows)


def _is_whole(table: Table, cell: Cell) -> bool:
    (whole,) = table.fetch_one(f"bool_and({INTEGRAL.format(cell.sql)})", where=f"{cell.sql} IS NOT NULL")
    return bool(whole)


def _is_infinite(table: Table, cell: Cell) -> bool:
    (rows,) = table.fetch_one(f"count(*) FILTER (WHERE abs({cell.sql}) > {LARGEST})")
    return bool(rows)


def _time_of(table: Table, cell: Cell) -> TimeColumn | None:
    oldest, newest, missing = table.fetch_one(
        f"CAST(min({cell.sql}) AS TIMESTAMP)",
        f"CAST(max({cell.sql}) AS TIMESTAMP)",
        f"count(*) FILTER (WHERE {cell.sql} IS NULL)",
    )
    usable = isinstance(oldest, datetime) and isinstance(newest, datetime) and oldest < newest and not missing
    return TimeColumn(cell.name, newest - oldest) if usable else None


def _extent_of(table: Table, cell: Cell) -> Extent:
    ends: tuple[Any, Any] | None = None
    values: tuple[str, ...] | None = None
    (missing,) = table.fetch_one(f"count(*) FILTER (WHERE {cell.sql} IS NULL)")
    if cell.type in ("integer", "float"):
        low, high = table.fetch_one(
            f"min({cell.sql})", f"max({cell.sql})", where=f"isfinite({cell.sql}::DOUBLE)"
        )
        ends = None if low is None or low == high else (low, high)
    elif cell.type == "string":
        rest = f"GROUP BY 1 ORDER BY 1 LIMIT {MOST_LISTED_VALUES + 1}"
        found = [value for (value,) in table.fetch(cell.sql, where=f"{cell.sql} IS NOT NULL", rest=rest)]
        values = tuple(found) if 1 < len(found) <= MOST_LISTED_VALUES else None
    return Extent(cell.name, not missing, ends, values)
