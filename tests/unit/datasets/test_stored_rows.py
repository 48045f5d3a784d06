from __future__ import annotations

import gc
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets import ingest, read_side
from evertrain.datasets.stored_rows import reference_rows, rows_of_table
from evertrain.errors import StorageError
from evertrain.records import Snapshot
from evertrain.storage import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def snapshot(tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """Sixty days, of which the newest ten are held out, in many parts; names that Arrow takes for paths."""
    monkeypatch.setattr("evertrain.datasets.FEWEST_ROWS", 1)
    numbers = range(600)
    pd.DataFrame(
        {
            "when": [datetime(2013, 1, 1) + timedelta(hours=2.4 * (number + 1)) for number in numbers],
            "a": numbers,
            "a.b": [f"t{number % 3}" if number % 4 else None for number in numbers],
            "y": [None if number % 7 == 0 else number % 2 == 0 for number in numbers],
        }
    ).to_parquet(tmp_path / "rows.parquet")
    config = PipelineConfig.model_validate(
        {
            "name": "p",
            "data": {
                "source": {"type": "files", "uri": str(tmp_path / "rows.parquet")},
                "target": "y",
                "timestamp": "when",
                "window": {"train": "50d", "holdout": "10d"},
            },
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": "binary_classification"},
        }
    )
    return ingest(config, store, as_of=None, now=datetime(2020, 1, 1, tzinfo=UTC)).snapshot


def test_the_reference_is_the_training_side(store: LocalStore, snapshot: Snapshot, temporary: Path) -> None:
    """All rows that the model could learn from, unlabelled ones too, column by column."""
    rows = reference_rows(store, snapshot)
    whole = read_side(store, snapshot, "train", target="y", labelled=False)

    assert len([part for part in snapshot.parts if part.side == "train"]) > 10
    assert (rows.rows, rows.names) == (500, tuple(whole.column_names))
    assert rows.column("a").tolist() == whole["a"].to_pylist()
    assert rows.column("a.b").tolist() == whole["a.b"].to_pylist()
    assert np.isnan(rows.column("y")).sum() == whole["y"].null_count > 0


def test_nothing_is_left_behind(store: LocalStore, snapshot: Snapshot, temporary: Path) -> None:
    """The parts' copies go when nobody can read them any more."""
    rows = reference_rows(store, snapshot)
    assert len(list(temporary.iterdir())) == 1
    del rows
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_a_changed_part_is_refused(store: LocalStore, snapshot: Snapshot, temporary: Path) -> None:
    """A reference is compared with only if it is what the champion learnt from; and no copy is left."""
    store.put(snapshot.parts[0].key, b"other")
    with pytest.raises(StorageError, match="doesn't hold the bytes"):
        reference_rows(store, snapshot)
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_a_disk_that_cant_be_written_is_told(
    store: LocalStore, snapshot: Snapshot, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where copies can't be kept, the message says where and what to do."""
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: str(temporary / "gone"))
    with pytest.raises(StorageError, match="set TMPDIR"):
        reference_rows(store, snapshot)


def test_a_snapshot_without_training_rows_can_be_opened(store: LocalStore, snapshot: Snapshot) -> None:
    """No part is no row, not an error: the check says that there is too little data."""
    empty = snapshot.model_copy(update={"parts": ()})
    rows = reference_rows(store, empty)
    assert rows.rows == 0
    assert rows.column("a").tolist() == []
    assert rows.count_values("a.b")[1].tolist() == []


def test_numbers_and_booleans_come_as_numbers() -> None:
    """Missing ones are NaN, also among booleans and integers that a float doesn't hold."""
    table = pa.table({"flag": [True, None], "big": [2**60 + 1, None], "whole": [1, 2], "text": ["a", None]})
    rows = rows_of_table(table)
    assert rows.column("flag").dtype == rows.column("big").dtype == np.float64
    assert rows.column("flag")[0] == 1
    assert np.isnan(rows.column("flag")[1])
    assert rows.column("whole").tolist() == [1, 2]
    assert rows.column("text").tolist() == ["a", None]


def test_values_are_counted_with_the_missing_one() -> None:
    """Each distinct value once, however often and in however many pieces it comes."""
    column = pa.chunked_array([["a", None], ["b", "a"], ["a"]])
    values, counts = rows_of_table(pa.table({"c": column})).count_values("c")
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {"a": 3, "b": 1, None: 1}


def test_a_sample_keeps_rows_together() -> None:
    """Whole rows, none twice, the same for the same seed; all of them where there aren't enough."""
    rows = rows_of_table(pa.table({"n": range(1000), "twice": range(0, 2000, 2)}))
    sample = rows.sample(50, seed=3)
    numbers = sample["n"].to_pylist()
    assert len(set(numbers)) == 50
    assert numbers == sorted(numbers)
    assert sample["twice"].to_pylist() == [2 * number for number in numbers]
    assert sample.equals(rows.sample(50, seed=3))
    assert not sample.equals(rows.sample(50, seed=4))
    assert rows.sample(5000, seed=3)["n"].to_pylist() == list(range(1000))
