"""Owns the passage of streamed rows into Parquet files, which are then read as any source's files are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.errors import SourceError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa


def stage_batches(batches: Iterable[pa.RecordBatch], folder: Path, told: str) -> tuple[Path, ...]:
    """Write *batches* to *folder*, never holding more than one of them.

    Args:
        batches: Of the same columns; types may widen on the way: null to any, integer to float. The last
            batch's are those of all.
        folder: Exists, and is empty.
        told: What the rows come from, for messages.

    Returns:
        Parquet files to be read together; the first has no rows, and the columns in their final types.

    Raises:
        SourceError: There are no rows, a column is there twice, or its type can't be kept as Parquet.
        StorageError: The folder can't be written.
    """
    import pyarrow as pa

    try:
        files, schema = _write_all(batches, folder, told)
        if schema is None or not files:
            raise SourceError(f"{told} gives no rows; widen what it selects.")
        return (_write_head(schema, folder), *files)
    except pa.ArrowException as cause:
        raise SourceError(f"{told} gives a column that can't be kept as Parquet: {cause}.") from cause
    except OSError as cause:
        raise StorageError(
            f"Can't write the rows of {told} to {folder}: {cause.strerror or cause}. Free some space there, "
            "or set TMPDIR to another folder."
        ) from cause


def _write_all(
    batches: Iterable[pa.RecordBatch], folder: Path, told: str
) -> tuple[list[Path], pa.Schema | None]:
    import pyarrow.parquet as pq

    files: list[Path] = []
    schema = None
    with ExitStack() as opened:
        for batch in batches:
            if schema is None:
                _refuse_repeated(batch.schema.names, told)
            schema, widened = batch.schema, schema != batch.schema
            if not batch.num_rows:
                continue
            if widened or not files:
                opened.close()
                files.append(folder / f"rows-{len(files) + 1:05d}.parquet")
                writer = opened.enter_context(pq.ParquetWriter(files[-1], schema))
            writer.write_batch(batch)
    return files, schema


def _write_head(schema: pa.Schema, folder: Path) -> Path:
    import pyarrow.parquet as pq

    path = folder / "rows-00000.parquet"
    with pq.ParquetWriter(path, schema):
        return path


def _refuse_repeated(names: list[str], told: str) -> None:
    folded = [name.casefold() for name in names]
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise SourceError(
            f"{told} gives several columns called {twice!r} (case makes no difference); give one of them "
            "another name, or leave it out."
        )
