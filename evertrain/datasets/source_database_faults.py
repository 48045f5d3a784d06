"""Owns how a database's faults are told: whose they are, whether they pass, and never the URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from evertrain.durations import spell_duration
from evertrain.errors import DatabaseUnavailable, EvertrainError, ServiceError, SourceError
from evertrain.sources import SqlSource

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

TEXT_LIMIT = 600
_CANCELLED = "57014"
# SQLSTATE's classes for a connection that broke and for a server that shuts down.
_LOST = ("08", "57P")
_FOR_GOOD = (
    "password",
    "authentication",
    "does not exist",
    "pg_hba",
    "denied",
    "login failed",
    "unknown database",
)


@contextmanager
def connection_faults_told(source: SqlSource, url: URL) -> Iterator[None]:
    """Raise what a driver raises while it connects as our errors.

    Raises:
        SourceError: The SQLite file can't be opened.
        ServiceError: The server refuses this user, or has no such database.
        DatabaseUnavailable: It can't be reached.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        # Not raised from it: the driver's error may hold the URL, and would be shown in tracebacks.
        raise _explain_connection(source, url, _spell(error, url)) from None


@contextmanager
def query_faults_told(source: SqlSource, url: URL) -> Iterator[None]:
    """Raise what a driver raises while rows are read as our errors.

    Raises:
        SourceError: The query fails or was stopped after its timeout.
        DatabaseUnavailable: The connection broke.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise _explain_query(source, url, error) from None


def too_slow(source: SqlSource) -> SourceError:
    """The error of a query that took longer than it may."""
    return SourceError(
        f"data.source.query took longer than data.source.timeout ({spell_duration(source.timeout)}) and was "
        "stopped; select less, add an index, or allow it more time."
    )


def _explain_connection(source: SqlSource, url: URL, text: str) -> EvertrainError:
    if url.get_backend_name() == "sqlite":
        return SourceError(
            f"The SQLite file that {source.url_env} names can't be opened: {text} Check its path."
        )
    told = f"The database that {source.url_env} names"
    if any(words in text.casefold() for words in _FOR_GOOD):
        return ServiceError(
            f"{told} refuses the connection: {text} Correct the URL's user, password and database."
        )
    return DatabaseUnavailable(
        f"{told} can't be reached: {text} Check the URL's host and port, and that the server runs."
    )


def _explain_query(source: SqlSource, url: URL, error: Any) -> EvertrainError:
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    if state == _CANCELLED:
        return too_slow(source)
    text = _spell(error, url)
    if getattr(error, "connection_invalidated", False) or state.startswith(_LOST):
        return DatabaseUnavailable(
            f"The connection to the database that {source.url_env} names broke: {text} Try again."
        )
    return SourceError(f"data.source.query fails: {text} Mend the query; evertrain only reads.")


def _spell(error: Any, url: URL) -> str:
    """The driver's own words as one sentence, without the SQL that was sent and without secrets."""
    text = str(getattr(error, "orig", None) or error)
    lines = [line.strip() for line in text.splitlines()]
    told = " ".join(line for line in lines if line.strip("^ ") and not line.startswith("LINE "))
    password = url.password or ""
    for secret in (
        url.render_as_string(hide_password=False),
        password,
        quote(password),
        quote_plus(password),
    ):
        told = told.replace(secret, "***") if secret else told
    told = told[:TEXT_LIMIT]
    return told if told.endswith((".", "!", "?")) else f"{told}."
