"""Owns how MLflow is reached: where it is, its embedded database, its silence, its errors in our words."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.errors import RegistryError, RegistryUnavailable
from evertrain.locks import locked
from evertrain.quiet import quiet
from evertrain.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_KEY = "evertrain.run_key"
_LOGGERS = ("mlflow", "alembic", "sqlalchemy")
# MLflow's own patience with a server that doesn't answer is eight minutes.
_PROBE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
# Against a server it prints each run's address on standard output, where `--json` allows one object only.
_SILENCE = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_TEXT_LIMIT = 300


def tracking_uri(settings: Settings) -> str:
    """MLflow's address: what MLFLOW_TRACKING_URI says, else the SQLite file in EVERTRAIN_HOME."""
    return settings.mlflow_uri or f"sqlite:///{settings.mlflow_database}"


def artifact_location(settings: Settings) -> str | None:
    """Where a new experiment keeps its files; None leaves it to the server."""
    return None if settings.mlflow_uri else _artifact_folder(settings).as_uri()


def is_remote(settings: Settings) -> bool:
    """Whether MLflow is a server."""
    return tracking_uri(settings).startswith(("http://", "https://"))


def without_credentials(text: str) -> str:
    """Take user names and passwords out of the addresses in *text*."""
    return _CREDENTIALS.sub("", text)


def import_mlflow() -> None:
    """Import MLflow, silent and without its telemetry; nothing else may be the first to import it."""
    # Read when MLflow is imported, also by the processes that this one starts.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with quiet():
        import mlflow  # noqa: F401


@contextmanager
def mlflow_client(settings: Settings, doing: str) -> Iterator[MlflowClient]:
    """Give a client for the block; the embedded database is made at its first use.

    Embedded, one block of one process runs at a time, so blocks must not be nested: MLflow's looking and then
    writing is no transaction, and fails in either of two processes that do it at once.

    Args:
        settings: Say where MLflow is.
        doing: What the block is for, as in "Can't *doing*".

    Raises:
        RegistryUnavailable: MLflow doesn't answer in time, or its database is busy.
        RegistryError: MLflow refuses; the message bears its address and its words.
    """
    import_mlflow()
    with quiet(*_LOGGERS), _told(settings, doing), ExitStack() as stack:
        if settings.mlflow_uri is None:
            stack.enter_context(locked(settings.home / "mlflow.lock"))
            _make_database(settings)
        client = _open_client(settings)
        stack.enter_context(_environment(_PATIENCE | _SILENCE))
        yield client


def open_mlflow(settings: Settings) -> None:
    """Import what MLflow imports late, and open the embedded database, which takes a second or two.

    Raises:
        RegistryError: See ``mlflow_client``.
    """
    if settings.mlflow_uri is None:
        with mlflow_client(settings, "open the database") as client:
            client.search_registered_models(max_results=1)
    with quiet(*_LOGGERS):
        import mlflow.pyfunc  # noqa: F401 - for those who save a model next


def _open_client(settings: Settings) -> MlflowClient:
    from mlflow import MlflowClient

    uri = tracking_uri(settings)
    client = MlflowClient(uri, uri)
    if is_remote(settings):
        with _environment(_PROBE):
            client.search_experiments(max_results=1)
    return client


def _make_database(settings: Settings) -> None:
    database = settings.mlflow_database
    if database.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # Made aside: a process killed half-way would else leave tables that MLflow can neither use nor mend.
    unfinished = database.with_name("mlflow.db.unfinished")
    unfinished.unlink(missing_ok=True)
    artifacts = _artifact_folder(settings).as_uri()
    with _unsynced():
        store = SqlAlchemyStore(f"sqlite:///{unfinished}", artifacts)  # type: ignore[no-untyped-call]
        store.engine.dispose()
    with closing(sqlite3.connect(unfinished)) as connection:
        # Lets readers read while a run is written down; the file keeps it.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(database)


@contextmanager
def _unsynced() -> Iterator[None]:
    """Spare the block's SQLite its 400 fsyncs: what it writes is worth nothing until it is renamed."""
    from sqlalchemy import Engine, event

    def configure(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")

    event.listen(Engine, "connect", configure)
    try:
        yield
    finally:
        event.remove(Engine, "connect", configure)


def _artifact_folder(settings: Settings) -> Path:
    return settings.home / "mlartifacts"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables that aren't set for the block: MLflow takes patience and silence from nowhere else."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _told(settings: Settings, doing: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, sqlite3.Error, OSError) as cause:
        where = without_credentials(tracking_uri(settings))
        said = without_credentials(" ".join(str(cause).split()))[:_TEXT_LIMIT].rstrip(".")
        kind = RegistryUnavailable if _may_pass(cause) else RegistryError
        raise kind(f"Can't {doing} in MLflow at {where}: {said}. {_advice(settings)}", uri=where) from cause


def _may_pass(error: BaseException) -> bool:
    from requests import ConnectionError as Unreachable
    from requests import RequestException, Timeout

    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, Unreachable | Timeout) or "database is locked" in str(chain):
            return True
        if isinstance(chain, RequestException):
            return False
        chain = chain.__cause__ or chain.__context__
    return getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE"


def _advice(settings: Settings) -> str:
    if is_remote(settings):
        return "See that the server runs and MLFLOW_TRACKING_URI and its credentials are right, or unset it."
    if settings.mlflow_uri:
        return "See that MLFLOW_TRACKING_URI names an MLflow that can be written, or unset it."
    return "See that EVERTRAIN_HOME is a folder that can be written and has space left."
