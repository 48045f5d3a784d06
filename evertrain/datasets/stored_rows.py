"""Owns rows that are read column by column: from a snapshot's parts, from a query, from an Arrow table."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evertrain.datasets.snapshots import read_part, to_columns
from evertrain.errors import StorageError
from evertrain.records import Part, Side, Snapshot
from evertrain.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa


class StoredRows:
    """Rows that are read column by column whenever they are asked for.

    Args:
        names: The columns.
        rows: How many rows there are.
        read: Gives one column.
    """

    def __init__(self, names: tuple[str, ...], rows: int, read: Callable[[str], pa.ChunkedArray]) -> None:
        self.names = names
        self.rows = rows
        self._read = read

    def column(self, name: str) -> np.ndarray:
        """One column's raw values, shape (rows,): numbers and booleans with missing as NaN, else objects."""
        import pyarrow as pa

        values = self._read(name)
        if values.null_count and (pa.types.is_boolean(values.type) or pa.types.is_integer(values.type)):
            values = values.cast(pa.int64()).cast(pa.float64(), safe=False)
        return to_columns(pa.table({name: values}), [name])[name]

    def count_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct values, a missing one among them, and how many rows have each."""
        import pyarrow as pa

        found = self._read(name)
        if pa.types.is_nested(found.type):
            # Arrow doesn't compare lists and records: none is taken for another.
            return self.column(name), np.ones(self.rows, dtype=np.int64)
        counted = found.value_counts()
        values = pa.chunked_array([counted.field("values")])
        return to_columns(pa.table({name: values}), [name])[name], counted.field("counts").to_numpy()

    def code_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct values, and which of them each row has, shape (rows,), in the rows' order."""
        import pyarrow as pa

        found = self._read(name)
        if pa.types.is_nested(found.type):
            return self.column(name), np.arange(self.rows)
        # A missing value is one among them.
        coded = found.combine_chunks().dictionary_encode(null_encoding="encode")
        values = pa.chunked_array([coded.dictionary])
        return to_columns(pa.table({name: values}), [name])[name], coded.indices.to_numpy()

    def sample(self, rows: int, seed: int) -> pa.Table:
        """At most so many rows in their order, drawn without replacement; the same for the same *seed*."""
        import pyarrow as pa

        drawn = np.random.default_rng(seed).choice(self.rows, min(rows, self.rows), replace=False)
        places = pa.array(np.sort(drawn))
        columns = [self._read(name).take(places) for name in self.names]
        return pa.table(columns, names=list(self.names))


def reference_rows(store: Store, snapshot: Snapshot, side: Side = "train") -> StoredRows:
    """Open the rows that a snapshot's model learnt from, or was judged on, unlabelled ones among them.

    The parts are verified once and kept in a temporary folder until nothing uses them any more.

    Raises:
        StorageError: A part is missing, its bytes aren't those that were written, or the disk is full.
    """
    parts = _Parts(store, [part for part in snapshot.parts if part.side == side])
    names = tuple(column.name for column in snapshot.columns)
    return StoredRows(names, parts.rows, parts.read)


def rows_of_table(table: pa.Table) -> StoredRows:
    """Take an Arrow table's rows."""
    return StoredRows(tuple(table.column_names), table.num_rows, table.column)


class _Parts:
    """A snapshot's parts, apart from the store: it has no way to read a piece of an object."""

    def __init__(self, store: Store, parts: Sequence[Part]) -> None:
        import pyarrow.parquet as pq

        folder = Path(tempfile.mkdtemp(prefix="evertrain-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._files = []
        self.rows = sum(part.rows for part in parts)
        for place, part in enumerate(parts):
            path = folder / f"{place}.parquet"
            data = read_part(store, part)
            try:
                path.write_bytes(data)
            except OSError as cause:
                raise StorageError(
                    f"Can't write to {folder}: {cause.strerror or cause}. Free some space there, or set "
                    "TMPDIR to another folder."
                ) from cause
            self._files.append(pq.ParquetFile(path))

    def read(self, name: str) -> pa.ChunkedArray:
        import pyarrow as pa

        # Asked for "a", Parquet also gives "a.b".
        found = [file.read(columns=[name]).column(name) for file in self._files]
        kind = found[0].type if found else pa.null()
        return pa.chunked_array([chunk for column in found for chunk in column.chunks], kind)
