"""Owns the rows of a period gone by, as a backtest scores a champion on them."""

from __future__ import annotations

from datetime import datetime

from evertrain.config import PipelineConfig
from evertrain.datasets.snapshots import HASH, Slice, write_parts
from evertrain.datasets.times import literal, to_naive
from evertrain.durations import LONGEST
from evertrain.records import Snapshot
from evertrain.storage import Store

PART_ROWS = 500_000


def read_period(config: PipelineConfig, store: Store, since: datetime, until: datetime) -> Snapshot:
    """Keep all rows after *since*, up to and with *until*, as held-out parts of a snapshot of their own.

    Args:
        config: The pipeline; its query runs, its windows don't count.
        store: Receives the parts; no manifest is written.
        since: A time without a zone is UTC.
        until: As *since*.

    Returns:
        The rows, labelled or not; ``holdout_rows`` counts the labelled ones.

    Raises:
        ConfigError: The source or the query can't be used.
        SourceError: The data can't be had: no file, unreadable, empty, a column missing, a failing query.
        DataRefused: A column isn't what its role asks for.
        StorageError: The parts can't be written.
    """
    from evertrain.datasets.late_labels import join_labels
    from evertrain.datasets.queries import open_table
    from evertrain.datasets.roles import require_columns, settle_roles, settle_target
    from evertrain.datasets.source_reading import source_files

    assert config.data.timestamp is not None
    with source_files(config.data.source) as paths, open_table(paths, config.data.query) as found:
        require_columns(found, config)
        table = settle_roles(found, config)
        if config.target_labels is not None:
            # What became of the rows, whenever it was told.
            ever = until + LONGEST
            table = join_labels(table, config.data, config.target_labels, as_of=ever, now=ever).table
            table = settle_target(table, config)
        moment = table.cell(config.data.timestamp).sql
        within = f"{moment} > {literal(to_naive(since))} AND {moment} <= {literal(to_naive(until))}"
        values = ", ".join(cell.sql for cell in sorted(table.cells))
        kept = table.keep(
            "period", within, moment=moment, hash=f"sha256(CAST(json_array({values}) AS VARCHAR))"
        )
        rows, labelled = kept.fetch_one("count(*)", f"count({kept.cell(config.data.target).sql})")
        cut = [Slice("holdout", min(PART_ROWS, rows - start)) for start in range(0, rows, PART_ROWS)]
        ordered = kept.stream(*(cell.sql for cell in kept.cells), HASH, rest=f"ORDER BY moment, {HASH}")
        written = write_parts(store, kept.columns, ordered, cut)
    return Snapshot(
        digest=written.digest,
        rows=rows,
        unlabelled=rows - labelled,
        train_rows=0,
        holdout_rows=labelled,
        columns=kept.columns,
        parts=written.parts,
    )
