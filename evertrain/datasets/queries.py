"""Owns DuckDB: files as the table ``source``, and one query over it that can reach nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.datasets import read_faults
from evertrain.datasets.source_sql import source_sql
from evertrain.datasets.spill import spill_folder
from evertrain.datasets.sql import allowed_paths, quote_name
from evertrain.datasets.tables import Table, normal_cell
from evertrain.errors import ConfigError, SourceError, StorageError
from evertrain.settings import read_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

THREADS = 1
# So that a process stays under 2 GiB however many rows there are: DuckDB isn't all of it.
MEMORY_LIMIT = "1GB"


@contextmanager
def open_table(
    paths: Sequence[Path], query: str | None, *, passing: bool = False, memory_limit: str | None = None
) -> Iterator[Table]:
    """Read *paths* as the table ``source`` and run *query* over it.

    Args:
        paths: Files of one format.
        query: One SELECT over ``source``; None takes its rows as they are.
        passing: The rows are wanted once, in their order: they are not gathered first, unless a query has to.
        memory_limit: What DuckDB may take before it spills, such as 512MB; None: `MEMORY_LIMIT`.

    Yields:
        The query's rows, each column in its normal form: times in UTC, decimals as floats, NaN as NULL.

    Raises:
        ConfigError: *query* isn't one SELECT.
        SourceError: A file can't be read or holds no rows; or the query fails on them or gives none.
        StorageError: There is no room to spill to.
    """
    import duckdb

    with open_database(memory_limit) as (connection, _):
        statement = "FROM source" if query is None else _parse(connection, query)
        try:
            names = _open_source(connection, paths)
            table = _run(connection, statement, names, gathered=not passing or query is not None)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as cause:
            raise read_faults.explain(str(cause), query, names_of(connection)) from cause
        yield table


@contextmanager
def open_database(memory_limit: str | None = None) -> Iterator[tuple[DuckDBPyConnection, Path]]:
    """Open an empty database, and a folder that is removed at the end.

    One thread, so that sums of floats don't depend on the machine; what doesn't fit into the limit is
    spilled to the folder, which is in EVERTRAIN_HOME.

    Raises:
        StorageError: There is no room to spill to.
    """
    import duckdb

    limit = memory_limit or MEMORY_LIMIT
    with (
        _interrupts_heard(),
        spill_folder(read_settings().home) as spill,
        _no_room_told(spill, limit),
        closing(duckdb.connect(config=_settings(spill, limit))) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        yield connection, spill


@contextmanager
def _interrupts_heard() -> Iterator[None]:
    """Pass a Ctrl-C on: DuckDB stops for it, and then makes another error of it."""
    try:
        yield
    except RuntimeError as cause:
        if str(cause) == "Query interrupted":
            raise KeyboardInterrupt from cause
        raise


@contextmanager
def _no_room_told(spill: Path, limit: str) -> Iterator[None]:
    """Tell a full disk as one: DuckDB calls it memory that is used up."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as cause:
        raise StorageError(
            f"There is no room for the rows beside {limit} of memory in {spill.parent}: "
            f"{read_faults.first_lines(str(cause))} Free some space there, or set EVERTRAIN_HOME to another "
            "disk."
        ) from cause


def check_query(query: str) -> None:
    """Check that *query* is one SELECT, without any data.

    Raises:
        ConfigError: It is something else, or can't be parsed.
    """
    import duckdb

    with closing(duckdb.connect()) as connection:
        _parse(connection, query)


def names_of(connection: DuckDBPyConnection) -> tuple[str, ...]:
    """The columns of ``source``; none if it couldn't be opened."""
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = 'source' ORDER BY column_index"
    ).fetchall()
    return tuple(name for (name,) in found)


def _settings(spill: Path, limit: str) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": THREADS,
        "memory_limit": limit,
        "temp_directory": str(spill),
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _parse(connection: DuckDBPyConnection, query: str) -> str:
    import duckdb

    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as cause:
        raise ConfigError(
            f"data.query can't be parsed: {read_faults.first_lines(str(cause))}", path="data.query"
        ) from cause
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        found = ", ".join(kinds) or "nothing"
        raise ConfigError(f"data.query: expected one SELECT over `source`, found {found}.", path="data.query")
    return statements[0].query.rstrip().rstrip(";")


def _open_source(connection: DuckDBPyConnection, paths: Sequence[Path]) -> tuple[str, ...]:
    connection.execute(f"CREATE VIEW source AS {source_sql(connection, paths)}")
    connection.execute(f"SET allowed_paths = {allowed_paths(paths)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    if connection.execute("FROM source LIMIT 1").fetchone() is None:
        raise SourceError(f"{_name_files(paths)} no rows; expected some below the header.")
    return names_of(connection)


def _run(
    connection: DuckDBPyConnection, statement: str, source_names: tuple[str, ...], *, gathered: bool
) -> Table:
    relation = connection.sql(statement)
    names, kinds = relation.columns, [str(kind) for kind in relation.types]
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice:
        raise SourceError(
            f"data.query gives several columns called {twice[0]!r}; take the old one away with "
            f"`* EXCLUDE ({quote_name(twice[0])})` or give the new one another name.",
        )
    aliases = ", ".join(f"c{place}" for place in range(len(names)))
    kind = "TABLE" if gathered else "VIEW"
    connection.execute(f"CREATE {kind} queried AS SELECT * FROM ({statement}\n) AS q({aliases})")  # noqa: S608
    table = Table(connection, "queried", (), source_names, gathered)
    # Of a view of files it is known that they hold a row.
    if gathered and table.fetch_one("count(*)") == (0,):
        raise SourceError("data.query gives no rows; widen what it selects.")
    cells = [
        normal_cell(table, f"c{place}", *each) for place, each in enumerate(zip(names, kinds, strict=True))
    ]
    return replace(table, cells=tuple(cells))


def _name_files(paths: Sequence[Path]) -> str:
    return f"{str(paths[0])!r} holds" if len(paths) == 1 else f"The {len(paths)} files of the source hold"
