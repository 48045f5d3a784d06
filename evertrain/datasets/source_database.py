"""Owns SQLAlchemy: one query read from a database that is only read, in bounded memory and time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evertrain.datasets import source_database_faults as faults
from evertrain.datasets.source_rows import Kind, type_rows
from evertrain.datasets.source_staging import stage_batches
from evertrain.errors import ConfigError, DatabaseUnavailable
from evertrain.sources import SqlSource

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult, Engine
    from sqlalchemy.engine import URL

TOLD = "data.source.query"
CONNECT_SECONDS = 10
BATCH_ROWS = 10_000
TRIES = 3
_LIBPQ = {
    "application_name": "evertrain",
    "connect_timeout": CONNECT_SECONDS,
    # Without these a server that vanishes while rows are read would be waited for for hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
# Drivers name these differently, and refuse what they don't know.
_CONNECT_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": {"connect_timeout": CONNECT_SECONDS},
    "mysqldb": {"connect_timeout": CONNECT_SECONDS},
    "pysqlite": {"timeout": CONNECT_SECONDS},
}

_POSTGRES = ("postgresql", "postgresql+psycopg")

Clock = Callable[[], float]


def read_database(
    source: SqlSource, folder: Path, environment: Mapping[str, str], *, clock: Clock = time.monotonic
) -> tuple[Path, ...]:
    """Run the source's query and write its rows to *folder* as Parquet; the database is never written to.

    A lost connection is tried again, twice.

    Args:
        source: The query, and the variable that holds the database's URL.
        folder: Exists; gets a folder for each try.
        environment: Holds the variable.
        clock: Gives seconds.

    Raises:
        ConfigError: The variable isn't set, or holds no URL; or the driver isn't installed.
        SourceError: The query fails, takes too long, or gives no rows; or a column mixes types.
        ServiceError: The database can't be reached, or refuses this user.
        StorageError: The folder can't be written.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    url = _find_url(source, environment)
    engine = _make_engine(url, source)
    again = Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(0.5),
        reraise=True,
    )
    return again(_read, engine, source, folder, clock)


def _read(engine: Engine, source: SqlSource, folder: Path, clock: Clock) -> tuple[Path, ...]:
    deadline = clock() + source.timeout.total_seconds()
    # The transaction that begins here is never committed.
    with _connect(engine, source) as connection, faults.query_faults_told(source, engine.url):
        _hold_back(connection, source)
        # Sent as it is: SQLAlchemy would take colons for parameters, and drivers per cents.
        options = {"no_parameters": True, "stream_results": True}
        with closing(connection.exec_driver_sql(source.query, None, options)) as result:
            rows = _in_time(result.yield_per(BATCH_ROWS).partitions(), source, deadline, clock)
            batches = type_rows(list(result.keys()), rows, TOLD, _declared_kinds(result))
            return stage_batches(batches, Path(mkdtemp(dir=folder)), TOLD)


def _find_url(source: SqlSource, environment: Mapping[str, str]) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    # What Heroku and its like hand out begins with a spelling that SQLAlchemy gave up.
    text = re.sub("^postgres:", "postgresql:", environment.get(source.url_env, "").strip())
    if not text:
        raise ConfigError(
            f"data.source.url_env: the environment variable {source.url_env} is not set; expected the URL of "
            "a database, such as postgresql://user:password@host/database.",
            path="data.source.url_env",
        )
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        # The vendor's own error may hold a part of the URL.
        raise ConfigError(
            f"The environment variable {source.url_env} holds no URL; expected one such as "
            "postgresql://user:password@host:5432/database, with %40 for an @ in the password.",
            path="data.source.url_env",
        ) from None


def _make_engine(url: URL, source: SqlSource) -> Engine:
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import ArgumentError

    begins = f"The URL in {source.url_env} begins with {url.drivername!r}"
    path = "data.source.url_env"
    try:
        dialect = url.get_dialect()
        if dialect.is_async:
            raise ConfigError(
                f"{begins}, an asynchronous driver; expected {url.get_backend_name()} or another one.",
                path=path,
            )
        known = _CONNECT_ARGUMENTS.get(dialect.driver, {})
        arguments = {key: value for key, value in known.items() if key not in url.query}
        return create_engine(_read_only_url(url), poolclass=NullPool, connect_args=arguments)
    except ArgumentError:
        # The vendor's own error may hold a part of the URL.
        raise ConfigError(
            f"{begins}, and SQLAlchemy doesn't know that or what follows; expected postgresql, "
            "mysql+pymysql, sqlite or another dialect that is installed.",
            path=path,
        ) from None
    except ImportError as cause:
        package = "'evertrain[postgres]'" if url.drivername in _POSTGRES else cause.name
        raise ConfigError(
            f"{begins}, whose driver isn't installed ({cause}); install it: pip install {package or 'it'}.",
            path=path,
        ) from cause


def _read_only_url(url: URL) -> URL:
    # A path that SQLite may write to it would also create.
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return url
    return url.set(database=f"file:{quote(url.database)}").update_query_dict({"mode": "ro", "uri": "true"})


def _connect(engine: Engine, source: SqlSource) -> Connection:
    with faults.connection_faults_told(source, engine.url):
        return engine.connect()


def _hold_back(connection: Connection, source: SqlSource) -> None:
    """Have the database itself refuse writes and end what takes too long, where it can."""
    if connection.dialect.name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
        milliseconds = max(1, round(source.timeout.total_seconds() * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
    elif connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")


def _in_time(
    batches: Iterator[Sequence[Any]], source: SqlSource, deadline: float, clock: Clock
) -> Iterator[Sequence[Any]]:
    for batch in batches:
        if clock() > deadline:
            raise faults.too_slow(source)
        yield batch


def _declared_kinds(result: CursorResult[Any]) -> dict[str, Kind]:
    """What the driver says of the columns' types, roughly: for those that turn out to hold nothing."""
    description = result.cursor.description if result.cursor else None
    driver = result.connection.dialect.dbapi
    roughly: tuple[tuple[str, Kind], ...] = (
        ("NUMBER", "float"),
        ("STRING", "text"),
        ("DATETIME", "local time"),
    )
    return {
        name: kind
        for name, code, *_ in description or ()
        for word, kind in roughly
        if code is not None and code == getattr(driver, word, None)
    }
