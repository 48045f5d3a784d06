"""Owns snapshots: rows in the store as content-addressed Parquet parts under one digest."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evertrain.canonical import digest_of
from evertrain.errors import StorageError
from evertrain.records import Column, Part, Side, Snapshot
from evertrain.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

HASH = "hash"
SIDES: tuple[Side, Side] = ("train", "holdout")
EXACT_IN_FLOAT = 2**53
READERS = 8
"""Parts that are read at once: each waits for the disk, or for S3."""
WRITERS = 4
"""Parts that are written at once."""
MOST_UNDER_WAY = 500_000
"""Rows that these parts hold, or the one where that alone holds more: they are in memory meanwhile."""


class Slice(NamedTuple):
    """So many rows of one side that make up one part."""

    side: Side
    rows: int


class Written(NamedTuple):
    """What a snapshot's rows became."""

    digest: str
    parts: tuple[Part, ...]


def write_parts(
    store: Store, columns: Sequence[Column], batches: pa.RecordBatchReader, cut: Sequence[Slice]
) -> Written:
    """Write rows as parts, as they come.

    Args:
        store: Receives ``snapshots/parts/<sha256>.parquet``, each if it isn't there already.
        columns: The rows' columns in order.
        batches: The rows in their fixed order, training side first; after *columns* comes the row's hash.
        cut: How the rows are cut into parts, in the same order.

    Returns:
        The parts; and the digest over columns, sides and row hashes, which depends neither on the cut nor
        on the bytes of Parquet files.
    """
    seen = {side: hashlib.sha256() for side in SIDES}
    names = [column.name for column in columns]
    waiting: deque[Future[Part]] = deque()
    under_way = 0
    parts: list[Part] = []
    # A part waits for the disk, or for S3: meanwhile others are made.
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="parts") as writers:
        for piece, table in zip(cut, _take(batches, [piece.rows for piece in cut]), strict=True):
            hashes, rows = table.column(len(names)), table.select(range(len(names)))
            seen[piece.side].update("".join(hashes.to_pylist()).encode())
            while waiting and (len(waiting) == WRITERS or under_way + piece.rows > MOST_UNDER_WAY):
                parts.append(waiting.popleft().result())
                under_way -= parts[-1].rows
            waiting.append(writers.submit(_write_part, store, piece.side, rows.rename_columns(names)))
            under_way += piece.rows
        parts += [each.result() for each in waiting]
    facts = {
        "columns": sorted([column.name, column.type] for column in columns),
        "rows": {side: digest.hexdigest() for side, digest in seen.items()},
    }
    return Written(digest_of(facts), tuple(parts))


def _write_part(store: Store, side: Side, rows: pa.Table) -> Part:
    data = _to_parquet(rows)
    key = f"snapshots/parts/{hashlib.sha256(data).hexdigest()}.parquet"
    store.put_if_absent(key, data)
    return Part(side=side, key=key, rows=rows.num_rows)


def write_manifest(store: Store, snapshot: Snapshot) -> None:
    """Keep *snapshot* under its digest; the first of the same digest stays."""
    store.put_if_absent(f"snapshots/{snapshot.digest}.json", snapshot.model_dump_json().encode())


def read_manifest(store: Store, digest: str) -> Snapshot:
    """Read the snapshot of *digest*, as ``write_manifest`` kept it.

    Raises:
        StorageError: There is none, or it can't be understood.
    """
    body = store.get(f"snapshots/{digest}.json")
    try:
        return Snapshot.model_validate_json(body or b"")
    except ValueError as cause:
        what = "is not in" if body is None else "can't be understood in"
        raise StorageError(
            f"Snapshot {digest[:12]} {what} the store {store.where}; its rows can't be read.", digest=digest
        ) from cause


def read_side(
    store: Store,
    snapshot: Snapshot,
    side: Side,
    *,
    target: str,
    columns: Sequence[str] | None = None,
    labelled: bool = True,
) -> pa.Table:
    """Read one side's rows.

    Args:
        store: Holds the parts.
        snapshot: Names them.
        side: Which rows.
        target: The column whose null means unlabelled.
        columns: Read no others but the target; None: all.
        labelled: Leave the unlabelled away.

    Raises:
        StorageError: A part is missing, or its bytes aren't those that were written.
    """
    import pyarrow.compute as pc

    names = None if columns is None else [*dict.fromkeys([*columns, target])]
    table = _read(store, [part for part in snapshot.parts if part.side == side], names)
    return table.filter(pc.is_valid(table.column(target))) if labelled else table


def read_snapshot(store: Store, snapshot: Snapshot, columns: Sequence[str] | None = None) -> pa.Table:
    """Read all rows, of both sides, labelled or not.

    Args:
        store: Holds the parts.
        snapshot: Names them.
        columns: Read no others; None: all.

    Raises:
        StorageError: A part is missing, or its bytes aren't those that were written.
    """
    return _read(store, snapshot.parts, columns)


def read_part(store: Store, part: Part) -> bytes:
    """Read one part's Parquet bytes; raises StorageError if they are missing or were changed."""
    data = store.get(part.key)
    if data is None or hashlib.sha256(data).hexdigest() not in part.key:
        state = "is missing from the store" if data is None else "doesn't hold the bytes that were written"
        raise StorageError(
            f"The snapshot's part {part.key!r} {state}; train again to write it anew.", key=part.key
        )
    return data


def to_columns(table: pa.Table, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Turn the columns *names* of an Arrow table into arrays that ``columns.encode_inputs`` takes.

    Returns:
        By name, shape (n,): numbers as int64, float32 or float64 with missing as NaN (as objects where that
        would lose digits), booleans as bool or objects, text as objects, times as datetime64. A missing
        object is None.
    """
    return {name: _to_array(table.column(name)) for name in names}


def _take(batches: pa.RecordBatchReader, sizes: Sequence[int]) -> Iterator[pa.Table]:
    import pyarrow as pa

    rest = batches.schema.empty_table()
    for size in sizes:
        waiting = [rest]
        missing = size - rest.num_rows
        while missing > 0:
            batch = batches.read_next_batch()
            waiting.append(pa.Table.from_batches([batch]))
            missing -= batch.num_rows
        whole = pa.concat_tables(waiting)
        yield whole.slice(0, size)
        rest = whole.slice(size)


def _to_parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _read(store: Store, parts: Sequence[Part], columns: Sequence[str] | None = None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chosen = None if columns is None else list(columns)

    # Not by read_table: looking at so small a file as a data set takes longer than reading it.
    def read(part: Part) -> pa.Table:
        return pq.ParquetFile(pa.BufferReader(read_part(store, part))).read(columns=chosen)

    with ThreadPoolExecutor(READERS, thread_name_prefix="parts") as readers:
        return pa.concat_tables(readers.map(read, parts))


def _to_array(column: pa.ChunkedArray) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _to_array(column.cast(kind.value_type))
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_date(kind):
        column = column.cast(pa.timestamp("us"))
    elif column.null_count and (pa.types.is_boolean(kind) or _loses_digits(column)):
        return np.array([*column.to_pylist(), None], dtype=object)[:-1]
    array: np.ndarray = column.to_numpy()
    return array


def _loses_digits(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type):
        return False
    ends: list[Any] = list(pc.min_max(column).as_py().values())
    return any(end is not None and abs(end) > EXACT_IN_FLOAT for end in ends)
