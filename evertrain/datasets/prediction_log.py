"""Owns reading what the service kept: its answers, and the labels that had arrived for them by as-of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evertrain.config import LabelsConfig
from evertrain.datasets.late_labels import open_labels
from evertrain.datasets.queries import open_database
from evertrain.datasets.splits import spell_sql
from evertrain.datasets.sql import quote_name, quote_paths
from evertrain.datasets.tables import Cell, Table
from evertrain.datasets.times import literal, to_naive
from evertrain.errors import StorageError
from evertrain.records import LogicalType
from evertrain.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

IN_ORDER = "answered_at, prediction_id"
"""The order of the rows, in SQL."""
FEATURE = "feature."
PROBABILITY = "probability_"
DAY = timedelta(days=1)
READERS = 8
"""Parts that are read at once: each waits for the disk, or for S3."""
AT_ONCE = 64
"""Parts that lie here at a time: a service that is asked little makes many small ones."""
_COLUMNS = (
    "prediction_id VARCHAR, request_id VARCHAR, entity VARCHAR, answered_at TIMESTAMP, version BIGINT, "
    "arm VARCHAR, answer VARCHAR, number DOUBLE, scores DOUBLE[]"
)
_LATE = "prediction_id VARCHAR, label VARCHAR, label_number DOUBLE, arrived TIMESTAMP, place BIGINT"
_SQL_TYPES: dict[LogicalType, str] = {"boolean": "BOOLEAN", "integer": "BIGINT", "float": "DOUBLE"}


@dataclass(frozen=True)
class LoggedRows:
    """Answered rows in DuckDB, one a prediction, the first first, with the label that counted, or none.

    Attributes:
        table: Its cells are those of the features asked for that a version has, by name. Its SQL may also use
            ``prediction_id``, ``request_id``, ``entity``, ``answered_at`` (naive UTC), ``version`` and
            ``arm``; what was answered as ``answer`` (a class as it is spelled) and ``number``, ``scores`` (a
            probability for each of ``classes``, or NULL); and ``label``, ``label_number`` and ``arrived``,
            all NULL where no label had arrived.
        classes: All that the logged versions can answer, spelled, in the newest version's order; none where
            they give no probabilities.
    """

    table: Table
    classes: tuple[str, ...]


def has_feedback(store: Store, pipeline: str, since: datetime, until: datetime) -> bool:
    """Whether the feedback route took labels between these days."""
    keys = _Copies(store, pipeline, Path()).keys("labels", to_naive(since), to_naive(until))
    return bool(keys)


class _Part(NamedTuple):
    """A part of the log on this machine."""

    path: Path
    schema: pa.Schema


@contextmanager
def open_log(  # noqa: PLR0913 - where, whose, which rows, and what is wanted of them
    store: Store,
    pipeline: str,
    labels: LabelsConfig | None,
    *,
    since: datetime,
    until: datetime,
    as_of: datetime,
    features: Sequence[str] = (),
    labelled: bool = True,
) -> Iterator[LoggedRows]:
    """Read what was answered after *since* and up to *until*, and what of it was labelled by *as_of*.

    Labels are those of the feedback route, and those that *labels* joins by prediction id. Of several the one
    that arrived last by *as_of* counts, whichever way it came; a prediction that was logged twice, since its
    caller gave one request id to two requests, is the one that was answered first. Only the columns that are
    needed are read, a few parts at a time.

    Args:
        store: Holds ``predictions/`` and ``labels/``.
        pipeline: Whose.
        labels: The YAML's; None, or joined by other columns: the feedback route's alone.
        since: Times without a zone are UTC.
        until: What was answered later than this or *as_of* isn't there.
        as_of: What arrived later doesn't exist.
        features: The features whose values are wanted.
        labelled: Whether labels are wanted.

    Yields:
        The rows, readable for as long as the block runs; none where nothing was logged.

    Raises:
        StorageError: The store can't be read, a part can't be understood, or there is no room for the rows.
        SourceError: The YAML's labels can't be had.
    """
    start, end, known = to_naive(since), min(to_naive(until), to_naive(as_of)), to_naive(as_of)
    with open_database() as (connection, folder):
        copies = _Copies(store, pipeline, folder)
        cells, classes = _copy_answers(connection, copies, start, end, features)
        connection.execute(f"CREATE TABLE late ({_LATE})")
        if labelled:
            _copy_feedback(connection, copies, start, known)
        delay = timedelta(0)
        if labelled and labels is not None and not labels.gives_target:
            _copy_source(connection, labels)
            delay = labels.delay
        _join(connection, known, delay)
        yield LoggedRows(Table(connection, "outcomes", cells, ()), classes)


class _Copies:
    """The log's parts as files, a few at a time: DuckDB reads files."""

    def __init__(self, store: Store, pipeline: str, folder: Path) -> None:
        self._store, self._pipeline, self._folder = store, pipeline, folder

    def keys(self, kind: str, first: datetime, last: datetime) -> list[str]:
        """Name the parts of these days; a part may hold some of the day before or after its own."""
        day, keys = first.date() - DAY, list[str]()
        while day <= last.date() + DAY:
            keys += self._store.list(f"{kind}/{self._pipeline}/{day.isoformat()}/")
            day += DAY
        return keys

    def take(self, keys: Sequence[str]) -> Iterator[list[_Part]]:
        """Copy some of the parts, give them, remove them, and go on."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="log") as readers:
            for first in range(0, len(keys), AT_ONCE):
                some = keys[first : first + AT_ONCE]
                parts = list(readers.map(self._copy, some, range(len(some))))
                yield parts
                for part in parts:
                    part.path.unlink()

    def schema(self, key: str) -> pa.Schema:
        """The columns of one part."""
        return self._copy(key, 0).schema

    def _copy(self, key: str, place: int) -> _Part:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._folder / f"log-{place}.parquet"
        try:
            path.write_bytes(self._store.get(key) or b"")
            return _Part(path, pq.read_schema(path))
        except (pa.ArrowException, OSError) as cause:
            raise StorageError(
                f"The part {key!r} of the prediction log can't be read: {cause}. Remove it from the store "
                f"{self._store.where} if it can't be mended.",
                key=key,
            ) from cause


def _copy_answers(
    connection: DuckDBPyConnection,
    copies: _Copies,
    start: datetime,
    end: datetime,
    features: Sequence[str],
) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
    """Copy what was answered in time as the table ``logged``; gives its features and all classes."""
    by_version: dict[int, list[str]] = {}
    for key in copies.keys("predictions", start, end):
        by_version.setdefault(_version_of(key), []).append(key)
    newest_first = sorted(by_version, reverse=True)
    schemas = [copies.schema(by_version[version][0]) for version in newest_first]
    found = (_cell_of(name, f"f{place}", schemas) for place, name in enumerate(features))
    cells = tuple(cell for cell in found if cell is not None)
    classes = tuple(dict.fromkeys(name for schema in schemas for name in _classes_of(schema)))
    more = "".join(f", {cell.sql} {_SQL_TYPES.get(cell.type, 'VARCHAR')}" for cell in cells)
    connection.execute(f"CREATE TABLE logged ({_COLUMNS}{more})")
    for version in newest_first:
        for parts in copies.take(by_version[version]):
            select = _select_answers(parts[0].schema, cells, classes)
            within = f"answered_at > {literal(start)} AND answered_at <= {literal(end)}"
            # Not an injection: names are quoted, literals are times.
            connection.execute(
                f"INSERT INTO logged SELECT * FROM (SELECT {select} FROM {_read(parts)}) WHERE {within}"  # noqa: S608
            )
    return cells, classes


def _version_of(key: str) -> int:
    """The version in ``…/<segment>-<version>.parquet`` or ``…/<segment>-<version>-<number>.parquet``."""
    return int(key.rpartition("/")[2].removesuffix(".parquet").split("-")[2])


def _select_answers(schema: pa.Schema, cells: Sequence[Cell], classes: Sequence[str]) -> str:
    answer = Cell("prediction", _logical(schema.field("prediction").type), "prediction")
    own = _classes_of(schema)
    scores = [quote_name(f"{PROBABILITY}{name}") if name in own else "0.0" for name in classes]
    columns = [
        "prediction_id",
        "request_id",
        "entity",
        'CAST("at" AS TIMESTAMP) AS answered_at',
        "version",
        "arm",
        spell_sql(answer),
        "try_cast(prediction AS DOUBLE)",
        f"[{', '.join(scores)}]" if own else "NULL",
    ]
    for cell in cells:
        kind = _SQL_TYPES.get(cell.type, "VARCHAR")
        there = f"{FEATURE}{cell.name}" in schema.names
        column = quote_name(f"{FEATURE}{cell.name}") if there else "NULL"
        columns.append(f"try_cast({column} AS {kind}) AS {cell.sql}")
    return ", ".join(columns)


def _classes_of(schema: pa.Schema) -> list[str]:
    names = itertools.takewhile(lambda name: not name.startswith(FEATURE), schema.names)
    return [name.removeprefix(PROBABILITY) for name in names if name.startswith(PROBABILITY)]


def _cell_of(name: str, sql: str, schemas: Sequence[pa.Schema]) -> Cell | None:
    """The feature as the newest version that has it logged it; None where none has."""
    column = f"{FEATURE}{name}"
    types = [schema.field(column).type for schema in schemas if column in schema.names]
    return Cell(name, _logical(types[0]), sql) if types else None


def _logical(kind: pa.DataType) -> LogicalType:
    import pyarrow as pa

    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    return "float" if pa.types.is_floating(kind) else "string"


def _read(parts: Sequence[_Part]) -> str:
    return f"read_parquet({quote_paths(part.path for part in parts)}, hive_partitioning=false)"


def _copy_feedback(connection: DuckDBPyConnection, copies: _Copies, start: datetime, known: datetime) -> None:
    for parts in copies.take(copies.keys("labels", start, known)):
        by_type: dict[LogicalType, list[_Part]] = {}
        for part in parts:
            # The type is that of the labels that came together: one part's may be whole, another's not.
            by_type.setdefault(_logical(part.schema.field("label").type), []).append(part)
        for kind, alike in by_type.items():
            connection.execute(
                f"INSERT INTO late SELECT prediction_id, {spell_sql(Cell('label', kind, 'label'))}, "  # noqa: S608
                f"try_cast(label AS DOUBLE), CAST(arrived_at AS TIMESTAMP), NULL FROM {_read(alike)}"
            )


def _copy_source(connection: DuckDBPyConnection, labels: LabelsConfig) -> None:
    with open_labels(labels) as found:
        label = found.cell(labels.column)
        there = f"{label.sql} IS NOT NULL"
        arrived, place = "CAST(NULL AS TIMESTAMP)", "rowid"
        if labels.arrived_at is not None:
            arrived, place = found.cell(labels.arrived_at).sql, "NULL"
            there += f" AND {arrived} IS NOT NULL"
        columns = [
            f"{spell_sql(found.cell('prediction_id'))} AS prediction_id",
            f"{spell_sql(label)} AS label",
            f"try_cast({label.sql} AS DOUBLE) AS label_number",
            f"{arrived} AS arrived",
            f"CAST({place} AS BIGINT) AS place",
        ]
        connection.register("arriving", found.stream(*columns, where=there))
        connection.execute("INSERT INTO late FROM arriving")
        connection.unregister("arriving")


def _join(connection: DuckDBPyConnection, known: datetime, delay: timedelta) -> None:
    """Make the table ``outcomes``: each prediction once, beside the newest label that was known."""
    once = "QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY answered_at, version, arm) = 1"
    connection.execute(f"CREATE TABLE first_answers AS FROM logged {once}")
    connection.execute("DROP TABLE logged")
    later = f"to_microseconds({delay // timedelta(microseconds=1)})"
    # Not an injection: literals are times and whole numbers.
    connection.execute(
        "CREATE TABLE newest AS SELECT * FROM ("  # noqa: S608
        "SELECT prediction_id, label, label_number, place, "
        f"coalesce(arrived, answered_at + {later}) AS arrived "
        "FROM late JOIN first_answers USING (prediction_id)"
        f") WHERE label IS NOT NULL AND arrived <= {literal(known)} "
        "QUALIFY row_number() OVER (PARTITION BY prediction_id "
        "ORDER BY arrived DESC, place DESC NULLS LAST, label DESC) = 1"
    )
    connection.execute("DROP TABLE late")
    connection.execute(
        "CREATE TABLE outcomes AS SELECT first_answers.*, label, label_number, arrived "  # noqa: S608
        f"FROM first_answers LEFT JOIN newest USING (prediction_id) ORDER BY {IN_ORDER}"
    )
    connection.execute("DROP TABLE first_answers")
    connection.execute("DROP TABLE newest")
