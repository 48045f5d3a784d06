"""Owns labels that arrive later: read as they stood at as-of, and joined to rows by entity and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from evertrain.config import DataConfig, LabelsConfig
from evertrain.datasets.hints import name_closest
from evertrain.datasets.queries import open_table
from evertrain.datasets.roles import show_values, spell_type
from evertrain.datasets.source_reading import source_files
from evertrain.datasets.splits import spell_sql
from evertrain.datasets.tables import Cell, Table
from evertrain.datasets.times import is_time_sql, literal, show_time, time_sql, to_naive
from evertrain.errors import SourceError

LABEL = "late_label"


class Labelled(NamedTuple):
    """Rows with the labels that had arrived, as the column of the target; and what to tell of the others."""

    table: Table
    notes: tuple[str, ...] = ()


def join_labels(
    table: Table, data: DataConfig, labels: LabelsConfig, *, as_of: datetime | None, now: datetime
) -> Labelled:
    """Put the labels that had arrived by as-of in the place of the target; *table* is given up.

    Of several labels with the same key the one that arrived last counts; of those that arrived at once, or
    where the labels have no times, the last in the source. A row gets one label or none, so that no row is
    doubled. Keys are compared by their spelling: 1, 1.0 and "1" are one entity. A row or label that lacks a
    part of its key is joined to nothing.

    Args:
        table: The rows; their timestamp is a time already.
        data: Its timestamp, target and entity.
        labels: Where labels are, and the columns that they are joined by.
        as_of: What arrived later doesn't exist; None: now, or the newest row's time where that is earlier.
        now: This moment.

    Raises:
        SourceError: The labels can't be had, a column is missing, or one that should hold times doesn't.
        ConfigError: The source isn't allowed, or needs what isn't installed or set.
        ServiceError: The source's database can't be reached.
    """
    until = _find_end(table, data, as_of, now)
    # Not `table.cell`: a target that the labels give needn't be among the source's columns.
    cells = tuple(cell for cell in table.cells if cell.name != data.target)
    known = "true"
    if labels.arrived_at is None and data.timestamp is not None:
        known = f"{table.cell(data.timestamp).sql} <= {literal(until - labels.delay)}"
    with open_labels(labels) as found:
        keys = [_key_cell(found, name, data.timestamp) for name in labels.join]
        kind = found.cell(labels.column).type
        _copy_newest(found, labels, keys, until, table)
        # Whoever names a moment knows that there is something after it.
        notes = _tell_left_out(found, labels, until, hidden=as_of is None)
    own = [_own_key(table.cell(name), name == data.timestamp) for name in labels.join]
    same = " AND ".join(f"{mine} = late.k{place}" for place, mine in enumerate(own))
    # Not an injection: all names inside are ours, literals are times.
    table.connection.execute(
        f"CREATE TABLE labelled_rows AS SELECT {table.name}.*, late.label AS {LABEL} "  # noqa: S608
        f"FROM {table.name} LEFT JOIN late ON {same} AND {known}"
    )
    table.connection.execute(f"DROP TABLE {table.name}")
    table.connection.execute("DROP TABLE late")
    joined = Table(
        table.connection,
        "labelled_rows",
        (*cells, Cell(data.target, kind, LABEL)),
        table.source_names,
    )
    return Labelled(joined, notes)


@contextmanager
def open_labels(labels: LabelsConfig) -> Iterator[Table]:
    """Read the labels' source; labels and times are settled, times without a zone are UTC.

    Yields:
        Its rows, readable for as long as the block runs.

    Raises:
        SourceError: The labels can't be had, a column is missing, or ``arrived_at`` holds no times.
        ConfigError: The source isn't allowed, or needs what isn't installed or set.
        ServiceError: The source's database can't be reached.
    """
    with source_files(labels.source) as paths, open_table(paths, None) as table:
        named = [("labels.column", labels.column), ("labels.arrived_at", labels.arrived_at)]
        joined = ("prediction_id",) if labels.join == "prediction_id" else labels.join
        named += [("labels.join", name) for name in joined]
        for path, name in named:
            if name is not None and name not in table.names:
                raise SourceError(
                    f"labels.source lacks a column that {path} names. "
                    f"{name!r}: {name_closest(name, table.names)}",
                    columns=[name],
                )
        if labels.arrived_at is None:
            yield table
        else:
            yield table.with_cell(read_time(table, "labels.arrived_at", labels.arrived_at))


def read_time(found: Table, path: str, name: str) -> Cell:
    """Take the column *name*, which *path* of the YAML names, as times.

    Raises:
        SourceError: It holds none.
    """
    cell = found.cell(name)
    if cell.type in ("date", "timestamp"):
        return cell._replace(type="timestamp", sql=f"CAST({cell.sql} AS TIMESTAMP)")
    text = f"CAST({cell.sql} AS VARCHAR)"
    wrong = show_values(found, cell.sql, f"{cell.sql} IS NOT NULL AND NOT ({is_time_sql(text)})")
    if wrong:
        raise SourceError(
            f"{path}: column {name!r} holds {spell_type(cell.type)}, no ISO 8601 times, such as {wrong}; "
            "expected times such as 2013-01-31T05:00:00Z. Write them so in labels.source."
        )
    return cell._replace(type="timestamp", sql=time_sql(text))


def latest_first(labels: LabelsConfig, found: Table) -> str:
    """The order, in SQL, of labels with the same key: the one that counts stands first.

    What arrived at once is ordered by its value, so that the order of the source's rows decides nothing;
    where nothing has a time, it is all that tells which came last.
    """
    if labels.arrived_at is None:
        return "rowid DESC"
    return f"{found.cell(labels.arrived_at).sql} DESC, {found.cell(labels.column).sql} DESC"


def _find_end(table: Table, data: DataConfig, as_of: datetime | None, now: datetime) -> datetime:
    if as_of is not None or data.timestamp is None:
        return to_naive(as_of or now)
    (last,) = table.fetch_one(f"max({table.cell(data.timestamp).sql})")
    return min(to_naive(now), last) if last else to_naive(now)


def _key_cell(found: Table, name: str, timestamp: str | None) -> str:
    if name == timestamp:
        return read_time(found, "labels.join", name).sql
    return spell_sql(found.cell(name))


def _own_key(cell: Cell, is_time: bool) -> str:
    return cell.sql if is_time else spell_sql(cell)


def _copy_newest(
    found: Table, labels: LabelsConfig, keys: Sequence[str], until: datetime, into: Table
) -> None:
    """Copy the label of each key that counts as the table ``late`` (k0, k1 …, label) beside the rows."""
    label = found.cell(labels.column).sql
    there = f"{label} IS NOT NULL"
    if labels.arrived_at is not None:
        there += f" AND {found.cell(labels.arrived_at).sql} <= {literal(until)}"
    one = f"row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY {latest_first(labels, found)}) = 1"
    columns = [f"{key} AS k{place}" for place, key in enumerate(keys)]
    newest = found.stream(*columns, f"{label} AS label", where=there, rest=f"QUALIFY {one}")
    into.connection.register("arriving", newest)
    into.connection.execute("CREATE TABLE late AS FROM arriving")
    into.connection.unregister("arriving")


def _tell_left_out(found: Table, labels: LabelsConfig, until: datetime, *, hidden: bool) -> tuple[str, ...]:
    if labels.arrived_at is None:
        return ()
    arrived = found.cell(labels.arrived_at).sql
    timeless, later = found.fetch_one(
        f"count(*) FILTER (WHERE {arrived} IS NULL)",
        f"count(*) FILTER (WHERE {arrived} > {literal(until)})",
        where=f"{found.cell(labels.column).sql} IS NOT NULL",
    )
    notes = []
    if timeless:
        notes.append(f"{timeless:,} labels have no {labels.arrived_at!r} and were left out")
    if later and hidden:
        notes.append(
            f"{later:,} labels arrived after {show_time(until)}, where the rows end, and were left out; "
            "--as-of with a later time takes them"
        )
    return tuple(notes)
