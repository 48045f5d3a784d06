"""Owns the guard against rows that stand on both sides of a split: learnt from, and judged on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evertrain.datasets.snapshots import SIDES, read_side
from evertrain.records import Snapshot
from evertrain.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

_SIDE = "side of the split"


def count_common_rows(store: Store, snapshot: Snapshot, *, target: str, timestamp: str | None) -> int:
    """Count the held-out rows, labelled ones, that are also learnt from: equal in every column.

    All columns count, timestamp and entity too: that two flights are alike in all features is no leak. No
    split of ours parts equal rows: with a timestamp the sides have no time in common, without one equal
    rows have equal hashes. So what is found here is a fault of a split, or of a snapshot that wasn't
    written by this version. Columns of lists and records aren't compared.

    Args:
        store: Holds the parts.
        snapshot: The rows.
        target: The column whose null means unlabelled.
        timestamp: The column that parts the sides in time; None: no column does.

    Raises:
        StorageError: A part is missing, or its bytes aren't those that were written.
    """
    if timestamp is not None and _are_apart(store, snapshot, target, timestamp):
        return 0
    sides = [read_side(store, snapshot, side, target=target) for side in SIDES]
    return _count_equal(*sides) if all(side.num_rows for side in sides) else 0


def _are_apart(store: Store, snapshot: Snapshot, target: str, timestamp: str) -> bool:
    """Whether no row that is learnt from is as new as one that is held out: equal rows have one time."""
    import pyarrow.compute as pc

    learnt, held_out = (
        read_side(store, snapshot, side, target=target, columns=[timestamp])[timestamp] for side in SIDES
    )
    newest, oldest = pc.max(learnt).as_py(), pc.min(held_out).as_py()
    return newest is None or oldest is None or newest < oldest


def _count_equal(learnt: pa.Table, held_out: pa.Table) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [field.name for field in learnt.schema if not pa.types.is_nested(field.type)]
    marked = [
        side.select(names).append_column(_SIDE, pa.repeat(pa.scalar(mark, pa.int64()), side.num_rows))
        for mark, side in enumerate((learnt, held_out))
    ]
    rows = pa.concat_tables(marked, promote_options="permissive").combine_chunks()
    groups = rows.group_by(names).aggregate([(_SIDE, "min"), (_SIDE, "sum")])
    common = groups.filter((pc.field(f"{_SIDE}_min") == 0) & (pc.field(f"{_SIDE}_sum") > 0))
    return int(pc.sum(common[f"{_SIDE}_sum"]).as_py() or 0)
