from __future__ import annotations

import hashlib
import threading
import time
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from evertrain.columns import encode_inputs, is_missing
from evertrain.datasets.snapshots import (
    Slice,
    read_manifest,
    read_side,
    read_snapshot,
    to_columns,
    write_manifest,
    write_parts,
)
from evertrain.errors import StorageError
from evertrain.records import Column, Feature, Part, Snapshot
from evertrain.storage import LocalStore

COLUMNS = (Column(name="x y", type="integer"), Column(name="late", type="boolean"))
ROWS = [(1, True), (2, None), (3, False), (4, True), (5, None)]


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def batches(rows, size):
    schema = pa.schema({"c0": pa.int64(), "c1": pa.bool_(), "hash": pa.string()})
    table = pa.table(
        {
            "c0": [x for x, _ in rows],
            "c1": [late for _, late in rows],
            "hash": [hashlib.sha256(str(row).encode()).hexdigest() for row in rows],
        },
        schema,
    )
    return pa.RecordBatchReader.from_batches(schema, table.to_batches(max_chunksize=size))


def write(store, cut, rows=ROWS, size=2):
    return write_parts(store, COLUMNS, batches(rows, size), [Slice(*piece) for piece in cut])


def snapshot_of(written):
    return Snapshot(
        digest=written.digest,
        rows=5,
        unlabelled=2,
        train_rows=2,
        holdout_rows=1,
        columns=COLUMNS,
        parts=written.parts,
    )


def test_what_was_written_is_read_again(store):
    """Sides are read apart, with or without the unlabelled rows, or together; names are those outside."""
    snapshot = snapshot_of(write(store, [("train", 3), ("holdout", 2)]))

    assert read_side(store, snapshot, "train", target="late").to_pydict() == {
        "x y": [1, 3],
        "late": [True, False],
    }
    assert read_side(store, snapshot, "train", target="late", labelled=False).num_rows == 3
    assert read_side(store, snapshot, "holdout", target="late")["x y"].to_pylist() == [4]
    assert read_snapshot(store, snapshot)["x y"].to_pylist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(
    "cut", [[("train", 3), ("holdout", 2)], [("train", 1), ("train", 2), ("holdout", 2)]]
)
def test_the_digest_depends_on_rows_alone(store, cut, size):
    """Neither the cut into parts nor the batches change it."""
    assert write(store, cut, size=size).digest == write(store, [("train", 3), ("holdout", 2)], size=5).digest


@pytest.mark.parametrize(
    ("cut", "rows"),
    [
        ([("train", 2), ("holdout", 3)], ROWS),
        ([("train", 3), ("holdout", 2)], [*ROWS[:4], (6, None)]),
        ([("train", 3), ("holdout", 1)], ROWS[:4]),
    ],
)
def test_rows_and_sides_change_the_digest(store, cut, rows):
    """Another side, another value or a row less is another snapshot."""
    assert write(store, cut, rows).digest != write(store, [("train", 3), ("holdout", 2)]).digest


def test_types_and_names_change_the_digest_and_their_order_does_not(store):
    """A column's name and type are part of what a row says."""
    cut = [Slice("train", 5)]
    digest = write_parts(store, COLUMNS, batches(ROWS, 5), cut).digest

    for renamed in ({"name": "x"}, {"type": "float"}):
        columns = (COLUMNS[0].model_copy(update=renamed), COLUMNS[1])
        assert write_parts(store, columns, batches(ROWS, 5), cut).digest != digest
    assert write_parts(store, COLUMNS[::-1], batches(ROWS, 5), cut).digest == digest


def test_equal_parts_are_stored_once(store):
    """A part is named by its content, so an unchanged day is shared by snapshots."""
    first = write(store, [("train", 3), ("holdout", 2)])
    second = write(store, [("train", 3), ("holdout", 1)], ROWS[:4])

    assert first.parts[0] == second.parts[0]
    assert len(list(store.list("snapshots/parts/"))) == 3


@pytest.mark.parametrize(("most_rows", "most_parts"), [(1, 1), (2, 2), (100, 4)])
def test_few_rows_are_in_memory_at_once(store, most_rows, most_parts, monkeypatch):
    """Parts are written several at once, while they hold no more than so many rows, and at most four."""
    monkeypatch.setattr("evertrain.datasets.snapshots.MOST_UNDER_WAY", most_rows)
    put, lock, counts = store.put_if_absent, threading.Lock(), [0, 0]

    def slow(key, data):
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        time.sleep(0.02)
        put(key, data)
        with lock:
            counts[0] -= 1

    monkeypatch.setattr(store, "put_if_absent", slow)
    rows = [(number, True) for number in range(12)]

    written = write_parts(store, COLUMNS, batches(rows, 5), [Slice("train", 1)] * 12)

    assert counts[1] == most_parts
    assert [part.rows for part in written.parts] == [1] * 12


def test_only_the_columns_that_are_asked_for_are_read(store):
    """Those and the target, in this order; a name that is the beginning of another doesn't bring it along."""
    columns = tuple(Column(name=name, type="integer") for name in ("a.b", "y", "a", "c"))
    table = pa.table({**{f"c{place}": [place] for place in range(4)}, "hash": ["0" * 64]})
    written = write_parts(store, columns, table.to_reader(), [Slice("train", 1)])
    snapshot = snapshot_of(written)

    read = read_side(store, snapshot, "train", target="y", columns=["a"])

    assert read.column_names == ["a", "y"]
    assert read.to_pylist() == [{"a": 2, "y": 1}]


def test_the_first_manifest_stays(store):
    """A snapshot's manifest lies under its digest and isn't written over."""
    snapshot = snapshot_of(write(store, [("train", 3), ("holdout", 2)]))
    write_manifest(store, snapshot)
    write_manifest(store, snapshot.model_copy(update={"rows": 6}))

    data = store.get(f"snapshots/{snapshot.digest}.json")
    assert Snapshot.model_validate_json(data) == snapshot


def test_a_part_that_changed_or_went_is_not_read(store):
    """Each part's bytes are checked against its name."""
    snapshot = snapshot_of(write(store, [("train", 3), ("holdout", 2)]))
    key = snapshot.parts[0].key

    store.put(key, store.get(key)[:-1] + b"?")
    with pytest.raises(StorageError, match=f"{key}' doesn't hold the bytes that were written"):
        read_snapshot(store, snapshot)
    store.delete(key)
    with pytest.raises(StorageError, match=f"{key}' is missing"):
        read_side(store, snapshot, "train", target="late")
    assert read_side(store, snapshot, "holdout", target="late").num_rows == 1


def test_a_part_is_named_by_its_whole_digest(store):
    """A part record that points elsewhere isn't believed."""
    store.put("snapshots/parts/other.parquet", b"x")
    part = Part(side="train", key="snapshots/parts/other.parquet", rows=1)

    with pytest.raises(StorageError, match=r"other\.parquet"):
        read_snapshot(store, snapshot_of(write(store, [("train", 5)])).model_copy(update={"parts": (part,)}))


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (pa.array([1, 2]), np.int64, [1, 2]),
        (pa.array([1, None]), np.float64, [1.0, None]),
        (pa.array([2**53 + 1, None]), object, [2**53 + 1, None]),
        (pa.array([None, None], pa.int64()), np.float64, [None, None]),
        (pa.array([0.5, None]), np.float64, [0.5, None]),
        (pa.array([0.5], pa.float32()), np.float32, [0.5]),
        (pa.array([Decimal("1.5"), None]), np.float64, [1.5, None]),
        (pa.array([True, False]), np.bool_, [True, False]),
        (pa.array([True, None]), object, [True, None]),
        (pa.array(["a", None]), object, ["a", None]),
        (pa.array(["a", None]).dictionary_encode(), object, ["a", None]),
        (pa.array([date(2013, 1, 2), None]), "datetime64[us]", [datetime(2013, 1, 2), None]),
        (pa.array([datetime(2013, 1, 2, 3), None]), "datetime64[us]", [datetime(2013, 1, 2, 3), None]),
        (
            pa.array([1_357_095_600], pa.timestamp("s", "Asia/Tokyo")),
            "datetime64[s]",
            [datetime(2013, 1, 2, 3)],
        ),
    ],
)
def test_arrow_becomes_arrays(values, dtype, expected):
    """Arrays keep types and digits; what is missing is NaN, NaT or None."""
    array = to_columns(pa.table({"x": values}), ["x"])["x"]

    assert array.dtype == dtype
    assert [None if is_missing(value) else value for value in array.tolist()] == expected


def test_arrays_suit_the_column_layer():
    """What a snapshot gives can be encoded as it is."""
    kinds = {"i": "numeric", "b": "numeric", "s": "categorical", "d": "datetime"}
    types = {"i": "integer", "b": "boolean", "s": "string", "d": "date"}
    features = [Feature(name=name, kind=kind, type=types[name]) for name, kind in kinds.items()]
    table = pa.table({"i": [1, None], "b": [True, None], "s": ["x", None], "d": [date(2013, 1, 2), None]})

    inputs = encode_inputs(features, to_columns(table, list(kinds)))

    assert inputs["in_000"].tolist()[0] == inputs["in_001"].tolist()[0] == 1.0
    assert inputs["in_002"].tolist() == ["x", "__missing__"]
    assert inputs["in_003_year"].tolist()[0] == 2013.0


def test_a_manifest_is_found_by_its_digest(store: LocalStore) -> None:
    """What was written is read back; one that isn't there, or is damaged, is told."""
    snapshot = Snapshot(
        digest="ab" * 32, rows=0, unlabelled=0, train_rows=0, holdout_rows=0, columns=(), parts=()
    )
    write_manifest(store, snapshot)
    assert read_manifest(store, snapshot.digest) == snapshot
    with pytest.raises(StorageError, match="cdcdcdcdcdcd is not in the store"):
        read_manifest(store, "cd" * 32)
    store.put(f"snapshots/{snapshot.digest}.json", b"{")
    with pytest.raises(StorageError, match="can't be understood"):
        read_manifest(store, snapshot.digest)
