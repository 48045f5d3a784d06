"""Owns batch scoring: any number of rows through the code that serves, in order, whole or not at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evertrain.batch.outputs import open_output
from evertrain.batch.rows import Scorer
from evertrain.batch.workplace import Workplace, open_workplace
from evertrain.bundles import Bundle
from evertrain.canonical import digest_of
from evertrain.config import PipelineConfig
from evertrain.datasets.queries import open_table
from evertrain.datasets.source_reading import digest_source, source_files
from evertrain.records import Record
from evertrain.sources import FilesSource

if TYPE_CHECKING:
    import pyarrow as pa

    from evertrain.datasets.tables import Table

CHUNK_ROWS = 131_072
PROGRESS_SECONDS = 2.0
_log = logging.getLogger("evertrain.steps")


class BatchReport(Record):
    """What a batch came to.

    ``resumed`` rows had been scored by a run that was cut off; ``unseen`` counts, by feature, values of
    categories that the model's training rows didn't have.
    """

    pipeline: str
    version: int
    bundle: str
    runtime: str
    input: str
    output: str
    rows: int
    resumed: int
    seconds: float
    unseen: dict[str, int]


def score_batch(
    config: PipelineConfig,
    bundle: Bundle,
    version: int,
    *,
    source: str,
    target: str,
    home: Path,
    query: bool = False,
) -> BatchReport:
    """Score the rows at *source* and write the answers to *target*.

    Rows are scored and kept in chunks below *home*: memory doesn't grow with their number, and a run that
    was killed goes on where it stopped, if input, version and query are the same. What stands at *target* is
    the whole answer, or what stood there before.

    Args:
        config: The pipeline.
        bundle: Of the version.
        version: Its number.
        source: A path, a glob, or ``s3://bucket/…``; CSV, JSON lines or Parquet.
        target: A path or ``s3://bucket/key``; its suffix says which format.
        home: EVERTRAIN_HOME.
        query: Whether ``data.query`` runs over the rows first.

    Raises:
        ConfigError: *source* or *target* is no such address.
        SourceError: The rows can't be had, or lack a column.
        DataRefused: A value can't be what its column is.
        TrainingError: The model fails on the rows.
        StorageError: An answer can't be written.
    """
    began = time.monotonic()
    output = open_output(target)
    files = FilesSource(type="files", uri=source)
    statement = config.data.query if query else None
    key = digest_of([digest_source(files), bundle.digest, version, statement, CHUNK_ROWS])[:16]
    with open_workplace(home / "batch" / config.name / key) as place:
        resumed = place.state.rows
        if not place.state.is_whole:
            with source_files(files) as paths, open_table(paths, statement, passing=True) as table:
                _score_rest(table, place, Scorer(bundle, version, key))
        output.write(place.tables())
        state = place.state
        place.remove()
    return BatchReport(
        pipeline=config.name,
        version=version,
        bundle=bundle.digest,
        runtime=bundle.runtime,
        input=source,
        output=target,
        rows=state.rows,
        resumed=resumed,
        seconds=round(time.monotonic() - began, 3),
        unseen=dict(sorted(state.unseen.items())),
    )


def _score_rest(table: Table, place: Workplace, scorer: Scorer) -> None:
    names = scorer.choose_columns(table)
    done = place.state.rows
    batches = table.stream(*(table.cell(name).sql for name in names), rest=f"OFFSET {done}" if done else "")
    told = time.monotonic()
    for chunk in _in_chunks(batches, names):
        place.keep(*scorer.score(chunk, done))
        done += chunk.num_rows
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            _log.info("score: %s rows", f"{done:,}")
    place.finish()


def _in_chunks(batches: pa.RecordBatchReader, names: Sequence[str]) -> Iterator[pa.Table]:
    """Cut *batches*, however long they are, into tables of CHUNK_ROWS; the last one may be shorter."""
    import pyarrow as pa

    rest = batches.schema.empty_table()
    for batch in batches:
        rest = pa.concat_tables([rest, pa.Table.from_batches([batch])])
        while rest.num_rows >= CHUNK_ROWS:
            yield rest.slice(0, CHUNK_ROWS).rename_columns(list(names))
            rest = rest.slice(CHUNK_ROWS)
    if rest.num_rows:
        yield rest.rename_columns(list(names))
