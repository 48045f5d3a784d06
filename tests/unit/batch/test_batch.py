"""Batch scoring: the rows' order, what is written, what is refused, and what a kill leaves."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.errors import ConfigError, DataRefused, ModelFailed, SourceError, StorageError, TrainingError

NAMES = ["prediction_id", "flight", "at", "prediction", "probability_false", "probability_true", "version"]


def expected_of(bundle, table):
    """What the service would answer to each row, asked alone."""
    rows = table.select(["distance", "carrier", "night"]).to_pylist()
    answers = [bundle.predict({name: [value] for name, value in row.items()}) for row in rows]
    return [float(answer.probabilities[0, 1]) for answer in answers]


@pytest.mark.parametrize("rows", [1, 999, 1_000, 1_001, 4_321])
def test_rows_are_answered_in_their_order(score, make_rows, make_bundle, tmp_path, rows):
    """Whatever the chunks: one answer a row, bit for bit what each row gets alone, beside entity and time."""
    table = make_rows(tmp_path / "in.parquet", rows)

    report = score(tmp_path / "in.parquet", tmp_path / "out.parquet")

    found = pq.read_table(tmp_path / "out.parquet")
    assert found.column_names == NAMES
    assert found.column("probability_true").to_pylist() == expected_of(make_bundle(), table)
    assert found.column("flight").to_pylist() == table.column("flight").to_pylist()
    assert found.column("at").to_pylist() == table.column("at").to_pylist()
    assert set(found.column("version").to_pylist()) == {7}
    identities = found.column("prediction_id").to_pylist()
    assert [int(each.rpartition("/")[2]) for each in identities] == list(range(rows))
    assert len({each.rpartition("/")[0] for each in identities}) == 1
    assert (report.rows, report.resumed, report.version) == (rows, 0, 7)
    assert report.unseen == ({"carrier": table.column("carrier").to_pylist().count("ZZ")} if rows > 1 else {})


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("source", [".csv", ".jsonl", ".parquet"])
def test_formats_go_by_suffix(score, make_rows, make_bundle, tmp_path, source, suffix):
    """The same rows from and to CSV, JSON lines and Parquet get the same answers."""
    table = make_rows(tmp_path / "in.parquet", 1_500)
    frame = table.to_pandas()
    path = tmp_path / f"in{source}"
    if source == ".csv":
        frame.to_csv(path, index=False)
    elif source == ".jsonl":
        frame.to_json(path, orient="records", lines=True, date_format="iso")

    score(path, tmp_path / f"out{suffix}")

    readers = {".csv": pd.read_csv, ".jsonl": partial(pd.read_json, lines=True), ".parquet": pd.read_parquet}
    found = readers[suffix](tmp_path / f"out{suffix}")
    assert found["probability_true"].tolist() == pytest.approx(expected_of(make_bundle(), table), rel=1e-15)
    assert list(found) == NAMES


def test_several_files_are_one_input(score, make_rows, tmp_path):
    """A glob's files follow one another by name."""
    first, second = make_rows(tmp_path / "a.parquet", 700), make_rows(tmp_path / "b.parquet", 600)

    assert score(tmp_path / "?.parquet", tmp_path / "out.csv").rows == 1_300
    flights = pd.read_csv(tmp_path / "out.csv")["flight"].tolist()
    assert flights == first.column("flight").to_pylist() + second.column("flight").to_pylist()


def test_texts_that_spreadsheets_run_are_made_harmless(score, make_rows, tmp_path):
    """In CSV an apostrophe stands before =, +, -, @; numbers keep their sign, Parquet keeps everything."""
    risky = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "plain", "a=b", None]
    changes = {"flight": pa.array(risky), "distance": pa.array([-1.5] * len(risky))}
    make_rows(tmp_path / "in.parquet", len(risky), **changes)

    score(tmp_path / "in.parquet", tmp_path / "out.csv")
    score(tmp_path / "in.parquet", tmp_path / "out.parquet")

    assert pq.read_table(tmp_path / "out.parquet").column("flight").to_pylist() == risky
    text = (tmp_path / "out.csv").read_bytes().decode()
    for value in risky[:6]:
        assert f'"\'{value}"' in text
    assert '"plain"' in text
    assert '"a=b"' in text


def test_a_query_runs_first_if_it_is_wanted(score, config, make_rows, tmp_path):
    """--query makes the columns that the model takes; without it they are looked for in the file."""
    table = make_rows(tmp_path / "in.parquet", 50)
    raw = table.rename_columns(["distance!" if name == "distance" else name for name in table.column_names])
    pq.write_table(raw, tmp_path / "raw.parquet")
    with pytest.raises(SourceError, match=r"lack the column 'distance'.*--query"):
        score(tmp_path / "raw.parquet", tmp_path / "out.csv")
    object.__setattr__(
        config.data, "query", 'SELECT *, "distance!" AS distance FROM source WHERE flight > 50'
    )

    report = score(tmp_path / "raw.parquet", tmp_path / "out.csv", query=True)

    assert report.rows == sum(flight > 50 for flight in table.column("flight").to_pylist())


def test_a_wrong_value_is_named_by_its_row_and_nothing_is_written(score, make_rows, tmp_path):
    """The row is counted over the whole input, and what stood at the output still does."""
    numbers = ["1"] * 2_500
    numbers[2_345] = "far"
    make_rows(tmp_path / "in.parquet", 2_500, distance=pa.array(numbers))
    (tmp_path / "out.csv").write_text("before")

    with pytest.raises(DataRefused, match=r"'distance', row 0: expected a number, found '1'"):
        score(tmp_path / "in.parquet", tmp_path / "out.csv")
    make_rows(tmp_path / "in.parquet", 2_500, distance=pa.array([1.0] * 2_345 + [1e39] + [1.0] * 154))
    with pytest.raises(DataRefused, match=r"'distance', row 2345: expected a finite number"):
        score(tmp_path / "in.parquet", tmp_path / "out.csv")

    assert (tmp_path / "out.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "in.parquet", "out.csv"]


def test_a_model_that_fails_is_told(score, make_rows, make_bundle, tmp_path):
    """What the model says is told, with exit code 4."""

    def fail(_inputs):
        raise ModelFailed("It broke.")

    make_rows(tmp_path / "in.parquet", 10)
    with pytest.raises(TrainingError, match="It broke"):
        score(tmp_path / "in.parquet", tmp_path / "out.csv", bundle=make_bundle(fail))


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("out", "no known format"),
        ("out.xlsx", "no known format"),
        ("gs://bucket/out.csv", "no address"),
        ("s3://out.csv", "names no object"),
        ("folder.csv", "is a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(score, tmp_path, monkeypatch, target, told):
    """Format and place are looked at before a row is read."""
    monkeypatch.chdir(tmp_path)
    Path("folder.csv").mkdir()

    with pytest.raises(ConfigError, match=told):
        score(tmp_path / "missing.parquet", target)


def test_an_output_that_cannot_be_written_keeps_what_was_scored(score, make_rows, tmp_path):
    """The message says to run the same command again: then no row is scored twice."""
    make_rows(tmp_path / "in.parquet", 2_500)
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="nothing is scored twice"):
        score(tmp_path / "in.parquet", tmp_path / "file" / "out.csv")

    assert score(tmp_path / "in.parquet", tmp_path / "out.csv").resumed == 2_500


def _score_until_killed(score, source, target, bundle, chunks):
    """Be a process that dies as by kill -9 after so many chunks."""
    left = [chunks]

    def run(inputs):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return bundle.run(inputs)

    killed = type(bundle)(**{**vars(bundle), "run": run})
    score(source, target, bundle=killed)


@pytest.mark.fault
@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_a_killed_batch_goes_on_where_it_stopped(score, make_rows, make_bundle, tmp_path, chunks):
    """Kill -9 leaves no output; the same command scores the rest, and the answers are as of one run."""
    make_rows(tmp_path / "in.parquet", 4_500)
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    child = multiprocessing.get_context("fork").Process(
        target=_score_until_killed, args=(score, source, target, make_bundle(), chunks)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert not target.exists()

    report = score(source, target)
    assert (report.rows, report.resumed) == (4_500, 1_000 * chunks)
    resumed = pq.read_table(target)
    score(source, tmp_path / "whole.parquet")

    assert resumed.equals(pq.read_table(tmp_path / "whole.parquet"))
    assert not list((tmp_path / "home" / "batch" / "flights").glob("*/*"))


def test_another_input_or_version_starts_anew(score, make_rows, make_bundle, tmp_path):
    """What was kept of other rows, or of another version, is not taken for this one's."""
    make_rows(tmp_path / "in.parquet", 2_500)
    calls = []

    def fail_later(inputs):
        calls.append(1)
        if len(calls) > 2:
            raise ModelFailed("Later.")
        return make_bundle().run(inputs)

    with pytest.raises(TrainingError):
        score(tmp_path / "in.parquet", tmp_path / "out.csv", bundle=make_bundle(fail_later))
    assert score(tmp_path / "in.parquet", tmp_path / "out.csv", version=8).resumed == 0
    assert score(tmp_path / "in.parquet", tmp_path / "out.csv").resumed == 2_000
    make_rows(tmp_path / "in.parquet", 2_500, flight=pa.array(np.arange(2_500)))
    assert score(tmp_path / "in.parquet", tmp_path / "out.csv").resumed == 0


def test_a_state_that_is_half_written_starts_anew(score, make_rows, make_bundle, tmp_path):
    """A machine that lost power may leave anything: then the rows are scored again."""
    make_rows(tmp_path / "in.parquet", 2_500)
    with pytest.raises(StorageError):
        score(tmp_path / "in.parquet", "/proc/nowhere/out.csv")
    (state,) = (tmp_path / "home" / "batch" / "flights").glob("*/state.json")
    state.write_text('{"chunks": 2, "ro')

    assert score(tmp_path / "in.parquet", tmp_path / "out.csv").resumed == 0


def test_objects_are_read_and_written(score, make_rows, tmp_path, s3_server, s3_bucket):
    """On S3 the input is an object, and the output is one once it is whole."""
    make_rows(tmp_path / "in.parquet", 1_200)
    s3_server.client().upload_file(str(tmp_path / "in.parquet"), s3_bucket, "in/rows.parquet")

    report = score(f"s3://{s3_bucket}/in/*.parquet", f"s3://{s3_bucket}/out/scored.jsonl")

    body = s3_server.client().get_object(Bucket=s3_bucket, Key="out/scored.jsonl")["Body"].read()
    lines = [json.loads(line) for line in body.decode().splitlines()]
    assert (report.rows, len(lines)) == (1_200, 1_200)
    assert [line["prediction_id"].rpartition("/")[2] for line in lines[:2]] == ["0", "1"]
