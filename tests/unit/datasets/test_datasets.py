from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from evertrain.columns import encode_inputs, encode_target
from evertrain.config import PipelineConfig
from evertrain.datasets import (
    Ingested,
    choose_period,
    ingest,
    read_side,
    read_snapshot,
    source_digest,
    to_columns,
)
from evertrain.errors import DataRefused, SourceError
from evertrain.storage import LocalStore

NOW = datetime(2020, 1, 1, tzinfo=UTC)
START = datetime(2013, 1, 1)


def pipeline(uri, *, task="binary_classification", **data):
    return PipelineConfig.model_validate(
        {
            "name": "p",
            "data": {"source": {"type": "files", "uri": str(uri)}, "target": "Class", **data},
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": task},
        }
    )


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def rows():
    """Two hundred hours of a table as other people write it."""
    numbers = range(200)
    return pd.DataFrame(
        {
            "when": [START + timedelta(hours=number + 1) for number in numbers],
            "Größe (cm)": [150 + number * 37 % 50 + 0.5 for number in numbers],
            "a.b-c d": [["x", "y", None][number % 3] for number in numbers],
            "flag": [number % 4 == 0 for number in numbers],
            "zip": [["00501", "10001"][number % 2] for number in numbers],
            "Class": [["Yes", "No", "No", "Yes", "No", "Yes", None][number % 7] for number in numbers],
        }
    )


def write(rows, path):
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        rows.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        rows.to_json(path, orient="records", lines=True, date_format="iso")
    else:
        rows.to_csv(path, index=False)
    return path


def run(config, store, as_of=None):
    return ingest(config, store, as_of=as_of, now=NOW)


def test_a_table_becomes_a_snapshot(tmp_path, store, rows):
    """The snapshot counts its rows and holds them all; classes and plan are what was found."""
    config = pipeline(write(rows, tmp_path / "a.csv"), timestamp="when")

    ingested = run(config, store)

    snapshot = ingested.snapshot
    assert (snapshot.rows, snapshot.unlabelled) == (200, 28)
    assert (snapshot.train_rows, snapshot.holdout_rows) == (138, 34)
    assert snapshot.as_of == snapshot.newest == datetime(2013, 1, 9, 8, tzinfo=UTC)
    assert len(snapshot.parts) == 2
    assert ingested.classes == ("No", "Yes")
    assert [feature.name for feature in ingested.plan.features] == ["Größe (cm)", "a.b-c d", "flag", "zip"]
    assert Ingested.model_validate_json(ingested.model_dump_json()) == ingested
    stored = read_snapshot(store, snapshot).to_pandas()
    assert stored["when"].tolist() == rows["when"].tolist()
    assert stored["zip"].tolist() == rows["zip"].tolist()


def test_what_is_read_can_be_encoded(tmp_path, store, rows):
    """The labelled training side fits the plan and the classes."""
    config = pipeline(write(rows, tmp_path / "a.csv"), timestamp="when", positive="No")
    ingested = run(config, store)
    table = read_side(store, ingested.snapshot, "train", target="Class")
    names = [feature.name for feature in ingested.plan.features]

    inputs = encode_inputs(ingested.plan.features, to_columns(table, names))
    target = encode_target(to_columns(table, ["Class"])["Class"], ingested.classes)

    assert ingested.classes == ("Yes", "No")
    assert {len(values) for values in inputs.values()} == {138} == {len(target)}
    assert set(target) == {0, 1}


@pytest.mark.parametrize("data", [{"timestamp": "when"}, {}, {"entity": ["zip", "a.b-c d", "Größe (cm)"]}])
def test_the_digest_is_that_of_the_rows(tmp_path, store, rows, data):
    """One file or seven, CSV, Parquet or JSON lines, in this order or another: it is the same snapshot."""
    config = pipeline(write(rows, tmp_path / "one.csv"), **data)
    first = run(config, store)
    shuffled = rows.sample(frac=1, random_state=0)
    for place in range(7):
        write(shuffled.iloc[place::7], tmp_path / "seven" / f"{place}.csv")
    # Columns in another order, too.
    others = [
        tmp_path / "seven" / "*.csv",
        write(shuffled[rows.columns[::-1]], tmp_path / "a.parquet"),
        write(shuffled, tmp_path / "a.jsonl"),
    ]

    for uri in others:
        again = run(pipeline(uri, **data), store)
        assert again.snapshot.digest == first.snapshot.digest
        assert again.snapshot.train_rows == first.snapshot.train_rows
        assert again.classes == first.classes


def test_a_value_changes_the_digest(tmp_path, store, rows):
    """One other value, or a label that arrives, is another snapshot."""
    digests = {run(pipeline(write(rows, tmp_path / "a.csv"), timestamp="when"), store).snapshot.digest}
    rows.loc[3, "zip"] = "99999"
    digests.add(run(pipeline(write(rows, tmp_path / "a.csv"), timestamp="when"), store).snapshot.digest)
    rows.loc[6, "Class"] = "Yes"
    digests.add(run(pipeline(write(rows, tmp_path / "a.csv"), timestamp="when"), store).snapshot.digest)

    assert len(digests) == 3


@pytest.mark.parametrize(
    ("rows", "days", "period"),
    [
        (5_000, 1, "day"),
        (4_999, 1, "week"),
        (500_000, 100, "day"),
        (505_000, 101, "week"),
        (80_000, 90, "week"),
        (6_000, 90, "month"),
        (500_000, 700, "week"),
        (50_000_000, 701, "month"),
    ],
)
def test_parts_are_few_and_not_small(rows, days, period):
    """At most a hundred periods, of 5,000 rows or more; else months, whatever they hold."""
    assert choose_period(rows, days) == period


def test_a_window_that_moves_on_shares_its_days(tmp_path, store, rows, monkeypatch):
    """A day later, all whole days that both windows hold are stored once, where a day is a part."""
    monkeypatch.setattr("evertrain.datasets.FEWEST_ROWS", 1)
    path = write(rows, tmp_path / "a.csv")
    config = pipeline(path, timestamp="when", window={"train": "4d", "holdout": "2d"})
    parts = [
        {part.key for part in run(config, store, datetime(2013, 1, day)).snapshot.parts} for day in (8, 9)
    ]

    assert [len(each) for each in parts] == [6, 6]
    assert len(parts[0] & parts[1]) == 5


def test_long_spans_are_cut_by_months(tmp_path, store, rows):
    """Parts don't become thousands where the data reaches over years."""
    rows["when"] = [START + timedelta(days=number * 2, hours=1) for number in range(200)]
    config = pipeline(write(rows, tmp_path / "a.csv"), timestamp="when")

    parts = run(config, store).snapshot.parts

    assert len(parts) == 15
    assert sum(part.rows for part in parts) == 200


def test_rows_without_a_time_are_set_aside_and_told(tmp_path, store, rows):
    """They are counted, told in a note, and in no part."""
    rows.loc[[1, 2, 3], "when"] = None

    ingested = run(pipeline(write(rows, tmp_path / "a.csv"), timestamp="when"), store)

    assert (ingested.snapshot.rows, ingested.snapshot.without_timestamp) == (197, 3)
    assert ingested.notes == ("3 rows without 'when' were set aside",)


def test_a_regression_without_a_time(tmp_path, store, rows):
    """A regression has no classes; without a timestamp the snapshot knows no time."""
    query = 'SELECT * EXCLUDE ("Class"), "Größe (cm)" AS "Class" FROM source'

    ingested = run(pipeline(write(rows, tmp_path / "a.csv"), task="regression", query=query), store)

    assert ingested.classes is None
    assert (ingested.snapshot.as_of, ingested.snapshot.newest) == (None, None)


@pytest.mark.parametrize(
    ("as_of", "window", "message"),
    [
        (
            datetime(2013, 1, 20),
            {"train": "30d", "holdout": "2d"},
            "no rows to hold out in the window from 2013-01-18T00:00:00Z to 2013-01-20T00:00:00Z; the data "
            "runs from 2013-01-01T01:00:00Z to 2013-01-09T08:00:00Z. Widen data.window.holdout or choose",
        ),
        (
            datetime(2013, 1, 3),
            {"train": "2d", "holdout": "9d"},
            "no rows to learn from in the window from 2012-12-23",
        ),
        (datetime(2012, 1, 1), {"train": "2d", "holdout": "9d"}, "the data begins at 2013-01-01T01:00:00Z"),
        (
            datetime(2013, 1, 1, 8),
            {"train": "1h", "holdout": "1h"},
            "1 rows but no labels to learn from in the",
        ),
    ],
)
def test_windows_without_rows(tmp_path, store, rows, as_of, window, message):
    """The refusal names the window and where the data lies."""
    config = pipeline(write(rows, tmp_path / "a.csv"), timestamp="when", window=window)

    with pytest.raises(DataRefused, match=message):
        run(config, store, as_of)


def test_a_table_too_small_to_be_split(tmp_path, store):
    """Where the rows' hashes leave nothing to hold out, the message says so."""
    path = write(pd.DataFrame({"x": [1, 2], "Class": ["a", "b"]}), tmp_path / "a.csv")

    with pytest.raises(
        DataRefused, match=r"no rows to hold out; add rows.*rows that are alike stand on one side"
    ):
        run(pipeline(path), store)


def test_a_target_without_labels(tmp_path, store, rows):
    """A target that is null throughout is refused by name."""
    rows["Class"] = None

    with pytest.raises(DataRefused, match=r"data\.target: no row has a value in column 'Class'"):
        run(pipeline(write(rows, tmp_path / "a.csv")), store)


def test_nothing_is_stored_of_data_that_is_refused(tmp_path, store, rows):
    """A refusal leaves the store as it was."""
    rows["Class"] = "No"
    with pytest.raises(DataRefused, match="constant"):
        run(pipeline(write(rows, tmp_path / "a.csv")), store)

    assert list(store.list("")) == []


def test_sources_that_only_reading_tells_of():
    """What a database or a function holds isn't known before: there is no digest that could say so."""
    sql = {"type": "sql", "url_env": "URL", "query": "SELECT 1"}

    assert source_digest(pipeline("x.csv", source=sql)) is None
    assert source_digest(pipeline("x.csv", source={"type": "python", "entry": "a:b"})) is None


def test_the_source_s_digest(tmp_path, rows):
    """It changes with the files, and a file that isn't there is refused."""
    path = write(rows, tmp_path / "a.csv")
    digest = source_digest(pipeline(path))

    assert source_digest(pipeline(tmp_path / "*.csv")) == digest
    write(rows.iloc[1:], path)
    assert source_digest(pipeline(path)) != digest
    with pytest.raises(SourceError, match="No file matches"):
        source_digest(pipeline(tmp_path / "b.csv"))


def test_an_unchanged_source_is_seen_without_heavy_imports():
    """Importing the module and digesting a source load neither DuckDB nor Arrow nor pandas."""
    code = (
        "import sys, evertrain.datasets, evertrain.datasets.source_files;"
        "evertrain.datasets.source_files.digest_files([]);"
        "print(sorted({'duckdb', 'pyarrow', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
