from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.datasets.queries import open_table
from evertrain.datasets.source_staging import stage_batches
from evertrain.errors import SourceError, StorageError


def batch(**columns):
    return pa.RecordBatch.from_pydict(columns)


def test_rows_that_widen_are_read_as_one_table(tmp_path):
    """A file per type, and a first one without rows that has the last word on types and order."""
    zoned = pa.timestamp("us", "UTC")
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    batches = [
        batch(when=pa.nulls(1), number=pa.array([1]), never=pa.nulls(1)),
        batch(when=pa.nulls(1), number=pa.array([2]), never=pa.nulls(1)),
        batch(when=pa.array([moment], zoned), number=pa.array([0.5]), never=pa.nulls(1)),
        batch(when=pa.array([], zoned), number=pa.array([], pa.float64()), never=pa.array([], pa.float64())),
    ]

    paths = stage_batches(iter(batches), tmp_path, "The query")

    assert [pq.read_metadata(path).num_rows for path in paths] == [0, 2, 1]
    with open_table(paths, None) as table:
        assert [(c.name, c.type) for c in table.columns] == [
            ("when", "timestamp"),
            ("number", "float"),
            ("never", "float"),
        ]
        assert table.fetch(*(cell.sql for cell in table.cells), rest="ORDER BY ALL") == [
            (datetime(2013, 1, 1), 0.5, None),
            (None, 1.0, None),
            (None, 2.0, None),
        ]


@pytest.mark.parametrize("batches", [[], [batch(a=pa.array([], pa.int64()))]])
def test_no_rows_are_refused(tmp_path, batches):
    """Whether there are no batches or only empty ones."""
    with pytest.raises(SourceError, match="The query gives no rows"):
        stage_batches(batches, tmp_path, "The query")


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    """In SQL, case makes no difference."""
    twice = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "A"])

    with pytest.raises(SourceError, match="several columns called 'a'"):
        stage_batches([twice], tmp_path, "The query")


def test_what_parquet_can_t_keep_is_told(tmp_path):
    """A type of Arrow's that Parquet hasn't."""
    months = pa.RecordBatch.from_arrays([pa.array([(1, 2, 3)], pa.month_day_nano_interval())], names=["a"])

    with pytest.raises(SourceError, match="The query gives a column that can't be kept as Parquet"):
        stage_batches([months], tmp_path, "The query")


def test_a_folder_that_can_t_be_written_is_the_disk_s_fault(tmp_path):
    """Exit 5, and where."""
    with pytest.raises(StorageError, match=r"Can't write the rows of The query to .*gone"):
        stage_batches([batch(a=[1])], tmp_path / "gone", "The query")
