"""Owns the rows that a drift check compares: the newest window of source or log, and the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evertrain.config import PipelineConfig, WindowConfig
from evertrain.datasets.stored_rows import StoredRows, reference_rows
from evertrain.datasets.times import literal, to_aware, to_naive
from evertrain.errors import ConfigError
from evertrain.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

    from evertrain.datasets.tables import Table

MEMORY_LIMIT = "512MB"
"""What the windows may take: with the libraries and a column at work, a million rows are checked in 1 GiB."""

__all__ = ["CurrentRows", "StoredRows", "open_current", "open_logged_current", "reference_rows"]


class CurrentRows(StoredRows):
    """The rows of ``drift.current.window`` before ``as_of``, labelled or not; times are UTC.

    Attributes:
        as_of: Where the window ends; the window begins one ``window`` before, exclusively.
        newest: The newest row's time at or before ``as_of``, in the window or not.
        window: How long it is.
        before: The rows of the window of the same length just before: what ``reference: rolling`` means.
    """

    def __init__(self, table: Table, as_of: datetime, newest: datetime, window: timedelta) -> None:
        super().__init__(*_rows_where(table, "current"))
        self.before = StoredRows(*_rows_where(table, "NOT current"))
        self.as_of = as_of
        self.newest = newest
        self.window = window


@contextmanager
def open_current(config: PipelineConfig, *, as_of: datetime | None, now: datetime) -> Iterator[CurrentRows]:
    """Read the newest rows of the source, after ``data.query``; none are there where the window is empty.

    Args:
        config: The pipeline.
        as_of: Rows with a later timestamp don't exist; None: now, or the newest row where that is earlier.
        now: This moment; a time without a zone is UTC.

    Yields:
        The rows, readable for as long as the block runs.

    Raises:
        ConfigError: There is no ``data.timestamp``, or the source or query can't be used.
        SourceError: The data can't be had: no file, unreadable, empty, a column missing, a failing query.
        DataRefused: A column isn't what its role asks for, or no row lies at or before as-of.
    """
    from evertrain.datasets.queries import open_table
    from evertrain.datasets.roles import require_columns, settle_roles
    from evertrain.datasets.source_reading import source_files
    from evertrain.datasets.splits import split_rows

    _require_timestamp(config)
    query = config.data.query
    with (
        source_files(config.data.source) as paths,
        # Read twice instead of gathered: once for the newest time, once for the windows.
        open_table(paths, query, passing=True, memory_limit=MEMORY_LIMIT) as found,
    ):
        require_columns(found, config)
        table = settle_roles(found, config)
        window = config.drift.current.window
        # The rolling reference is learnt from, as it were, and the current rows are held out.
        data = config.data.model_copy(update={"window": WindowConfig(train=window, holdout=window)})
        split = split_rows(table, data, as_of=as_of, now=now)
        newest = f"({split.kept}) AND ({split.holdout})"
        kept = split.kept if config.drift.reference == "rolling" else newest
        assert split.as_of is not None
        assert split.newest is not None
        rows = table.keep("windows", kept, current=split.holdout)
        yield CurrentRows(rows, to_aware(split.as_of), to_aware(split.newest), window)


@contextmanager
def open_logged_current(
    config: PipelineConfig, store: Store, features: Sequence[str], *, as_of: datetime
) -> Iterator[CurrentRows]:
    """Read the newest rows that the service answered, as it logged them; none where it logged none.

    Args:
        config: The pipeline.
        store: Holds the prediction log.
        features: The columns that are wanted: a version may have others.
        as_of: What was answered later doesn't exist; without a zone it is UTC.

    Yields:
        The rows of all versions and arms, readable for as long as the block runs.

    Raises:
        StorageError: The store can't be read, or a part of the log can't be understood.
    """
    from evertrain.datasets.prediction_log import open_log

    window, end = config.drift.current.window, to_aware(to_naive(as_of))
    start = end - window
    since = start - window if config.drift.reference == "rolling" else start
    with open_log(
        store, config.name, None, since=since, until=end, as_of=end, features=features, labelled=False
    ) as logged:
        (newest,) = logged.table.fetch_one("max(answered_at)")
        is_current = f"answered_at > {literal(to_naive(start))}"
        rows = logged.table.keep("windows", "true", current=is_current)
        yield CurrentRows(rows, end, to_aware(newest) if newest else end, window)


def _rows_where(table: Table, where: str) -> tuple[tuple[str, ...], int, Callable[[str], pa.ChunkedArray]]:
    (rows,) = table.fetch_one("count(*)", where=where)

    def read(name: str) -> pa.ChunkedArray:
        return table.stream(table.cell(name).sql, where=where).read_all().column(0)

    return table.names, rows, read


def _require_timestamp(config: PipelineConfig) -> None:
    if config.data.timestamp is None:
        raise ConfigError(
            "data.timestamp: a drift check compares the newest rows with older ones; name the column that "
            "holds the rows' times.",
            path="data.timestamp",
        )
