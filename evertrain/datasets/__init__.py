"""Owns the step "ingest": a source's rows become a snapshot, its classes and its feature plan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from evertrain.canonical import digest_of
from evertrain.config import PipelineConfig
from evertrain.datasets.quarantine import read_quarantine, set_aside
from evertrain.datasets.snapshots import (
    HASH,
    SIDES,
    Slice,
    read_manifest,
    read_side,
    read_snapshot,
    to_columns,
    write_manifest,
    write_parts,
)
from evertrain.datasets.source_reading import digest_source
from evertrain.datasets.times import show_time, to_aware
from evertrain.errors import DataRefused
from evertrain.records import FeaturePlan, Label, Masked, Record, Snapshot
from evertrain.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

    from evertrain.datasets.splits import Split
    from evertrain.datasets.tables import Table

__all__ = [
    "Ingested",
    "ingest",
    "read_manifest",
    "read_quarantine",
    "read_side",
    "read_snapshot",
    "source_digest",
    "to_columns",
]

# A part is a day, a week or a month, so that a window that moves on writes only what is new: the shortest
# whose parts are few, and not so small that opening them takes longer than reading them.
PERIODS = (("day", 1), ("week", 7))
MOST_PERIODS = 100
FEWEST_ROWS = 5_000
PART_ROWS = 500_000


class Ingested(Record):
    """What a run learns from and is judged on. Of two ``classes`` the last is the positive one.

    ``masks``: what each row-wise expectation found; under quarantine only.
    """

    snapshot: Snapshot
    plan: FeaturePlan
    classes: tuple[Label, ...] | None
    notes: tuple[str, ...] = ()
    masks: tuple[Masked, ...] = ()


def source_digest(config: PipelineConfig) -> str | None:
    """SHA-256 over the names and contents of the source's files or objects; imports nothing heavy.

    Late labels that become the target are of the source, too.

    Returns:
        None where only its rows tell: a database's or a function's.

    Raises:
        SourceError: There is no such file or object, or a file can't be read.
        StorageError: The bucket can't be listed.
    """
    digest = digest_source(config.data.source)
    if digest is None or config.target_labels is None:
        return digest
    labels = digest_source(config.target_labels.source)
    return labels and digest_of([digest, labels])


def ingest(
    config: PipelineConfig,
    store: Store,
    *,
    as_of: datetime | None,
    now: datetime,
    extend: Callable[[Table], Table] | None = None,
) -> Ingested:
    """Read the source, run the query, join late labels, split the rows and keep them as a snapshot.

    Args:
        config: The pipeline.
        store: Receives the snapshot.
        as_of: Rows with a later timestamp don't exist; None: now, or the newest row where that is earlier.
        now: This moment; a time without a zone is UTC.
        extend: Changes the rows, labels and all, before they are split.

    Raises:
        ConfigError: The source isn't allowed, or needs what isn't installed or set; or the query isn't one
            SELECT.
        SourceError: The data can't be had: no file, unreadable, empty, a column missing, a failing query.
        ServiceError: The source's database can't be reached.
        DataRefused: The data can't be learnt from, or not be judged on.
        StorageError: The snapshot can't be written.
    """
    from evertrain.datasets.features import plan_features
    from evertrain.datasets.queries import open_table
    from evertrain.datasets.roles import check_weights, require_columns, settle_roles

    # Here, since in the package it would hide the module of the same name.
    from evertrain.datasets.source_reading import source_files
    from evertrain.datasets.splits import split_rows
    from evertrain.datasets.targets import check_target

    with source_files(config.data.source) as paths, open_table(paths, config.data.query) as found:
        require_columns(found, config)
        table, left_out = _label_rows(settle_roles(found, config), config, as_of=as_of, now=now)
        if extend is not None:
            table = extend(table)
        _require_labels(table, config)
        split = split_rows(table, config.data, as_of=as_of, now=now)
        kept = _keep(table, config, split)
        apart = set_aside(kept, config.validation, store)
        train_rows, holdout_rows = _count_labelled(kept, config, split)
        classes, notes = check_target(kept, config)
        check_weights(kept, config.data)
        plan = plan_features(kept, config.data)
        cut = _cut(kept)
        written = write_parts(store, kept.columns, _ordered(kept, config), cut)
    rows = sum(part.rows for part in written.parts)
    snapshot = Snapshot(
        digest=apart.cover(written.digest),
        rows=rows,
        unlabelled=rows - train_rows - holdout_rows,
        quarantined=apart.rows,
        quarantine_key=apart.key,
        train_rows=train_rows,
        holdout_rows=holdout_rows,
        without_timestamp=split.without_timestamp,
        as_of=to_aware(split.as_of) if split.as_of else None,
        newest=to_aware(split.newest) if split.newest else None,
        columns=kept.columns,
        parts=written.parts,
    )
    write_manifest(store, snapshot)
    return Ingested(
        snapshot=snapshot,
        plan=plan,
        classes=classes,
        notes=(*_note_set_aside(config, split), *left_out, *notes),
        masks=apart.masks,
    )


def _label_rows(
    table: Table, config: PipelineConfig, *, as_of: datetime | None, now: datetime
) -> tuple[Table, tuple[str, ...]]:
    """Put late labels in the place of the target, where the YAML names some; and tell which were left out."""
    from evertrain.datasets.late_labels import join_labels
    from evertrain.datasets.roles import settle_target

    if config.target_labels is None:
        return table, ()
    labelled, left_out = join_labels(table, config.data, config.target_labels, as_of=as_of, now=now)
    return settle_target(labelled, config), left_out


def _require_labels(table: Table, config: PipelineConfig) -> None:
    (labelled,) = table.fetch_one(f"count({table.cell(config.data.target).sql})")
    labels = config.target_labels
    if not labelled and labels is not None:
        raise DataRefused(
            f"labels: no row has a label that arrived by as-of; expected rows and labels with the same "
            f"{', '.join(labels.join)}. Check labels.source, labels.join and --as-of."
        )
    if not labelled:
        raise DataRefused(
            f"data.target: no row has a value in column {config.data.target!r}; expected labels. "
            "Check data.source and data.query."
        )


def _keep(table: Table, config: PipelineConfig, split: Split) -> Table:
    values = ", ".join(cell.sql for cell in sorted(table.cells))
    return table.keep(
        "kept",
        split.kept,
        moment=split.moment,
        holdout=split.holdout,
        labelled=f"{table.cell(config.data.target).sql} IS NOT NULL",
        hash=f"sha256(CAST(json_array({values}) AS VARCHAR))",
    )


def _count_labelled(kept: Table, config: PipelineConfig, split: Split) -> tuple[int, int]:
    train, train_labelled, holdout, holdout_labelled = kept.fetch_one(
        "count(*) FILTER (WHERE NOT holdout)",
        "count(*) FILTER (WHERE NOT holdout AND labelled)",
        "count(*) FILTER (WHERE holdout)",
        "count(*) FILTER (WHERE holdout AND labelled)",
    )
    for name, rows, labelled in (("train", train, train_labelled), ("holdout", holdout, holdout_labelled)):
        if not labelled:
            raise DataRefused(_empty_side(name, rows, config, split))
    return train_labelled, holdout_labelled


def _empty_side(side: str, rows: int, config: PipelineConfig, split: Split) -> str:
    from evertrain.datasets.splits import show_bond

    what = f"{rows:,} rows but no labels" if rows else "no rows"
    where = {"train": "to learn from", "holdout": "to hold out"}[side]
    window = config.data.window
    # Without a window the newest fifth of the labelled rows is held out: no side is then without labels.
    if window is None or split.as_of is None:
        return (
            f"The split leaves {what} {where}; add rows. About a fifth is held out; {show_bond(config.data)}."
        )
    end = split.as_of - window.holdout if side == "train" else split.as_of
    start = end - (window.train if side == "train" else window.holdout)
    return (
        f"There are {what} {where} in the window from {show_time(start)} to {show_time(end)}; the data runs "
        f"{split.extent}. Widen data.window.{side} or choose another --as-of."
    )


def _note_set_aside(config: PipelineConfig, split: Split) -> tuple[str, ...]:
    if not split.without_timestamp:
        return ()
    return (f"{split.without_timestamp:,} rows without {config.data.timestamp!r} were set aside",)


def _ordered(kept: Table, config: PipelineConfig) -> pa.RecordBatchReader:
    keys = ", ".join(["holdout", "moment", *(kept.cell(name).sql for name in config.data.entity), HASH])
    return kept.stream(*(cell.sql for cell in kept.cells), HASH, rest=f"ORDER BY {keys}")


def choose_period(rows: int, days: int) -> str:
    """Name the period whose rows make up a part, where *rows* lie on *days* days."""
    for name, length in PERIODS:
        if days <= MOST_PERIODS * length and rows * length >= FEWEST_ROWS * days:
            return name
    return "month"


def _cut(kept: Table) -> list[Slice]:
    rows, days = kept.fetch_one("count(*)", "date_diff('day', min(moment), max(moment)) + 1")
    unit = choose_period(rows, days or 1)
    # A window ends with its last moment: midnight belongs to the day that it ends.
    period = f"date_trunc('{unit}', moment - INTERVAL 1 MICROSECOND)"
    counts = kept.fetch("holdout", "count(*)", rest=f"GROUP BY holdout, {period} ORDER BY holdout, {period}")
    return [
        Slice(SIDES[holdout], min(PART_ROWS, rows - start))
        for holdout, rows in counts
        for start in range(0, rows, PART_ROWS)
    ]
