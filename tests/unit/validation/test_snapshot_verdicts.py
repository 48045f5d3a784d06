"""Tests of the verdict on a snapshot, its quarantined rows included, and of the process that gives it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, ingest
from evertrain.errors import ConfigError, DataRefused, ServiceError, StorageError
from evertrain.records import ValidationReport
from evertrain.storage import Store, open_store
from evertrain.validation import list_quarantined, refusal
from evertrain.validation.child import answer, serve
from evertrain.validation.snapshots import validate_snapshot
from evertrain.validation.validator import Validator

BETWEEN = {"type": "expect_column_values_to_be_between", "column": "a", "min_value": 0}
COUNT = {"type": "expect_table_row_count_to_equal", "value": 50}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Case:
    """An ingested snapshot with what was expected of it."""

    def __init__(self, folder: Path, *expectations: dict, on_failure: str = "quarantine") -> None:
        rows = {"a": [-5, -5, *range(48)], "b": [1] * 50, "s": ["x"] * 50, "y": [0, 1] * 25}
        rows["t"] = [datetime(2025, 1, 1 + number // 24, number % 24) for number in range(50)]
        pq.write_table(pa.table(rows), folder / "rows.parquet")
        raw = {
            "name": "p",
            "data": {
                "source": {"type": "files", "uri": str(folder / "rows.parquet")},
                "target": "y",
                "timestamp": "t",
            },
            "validation": {"expectations": expectations, "on_failure": on_failure},
            "training": {"estimator": "a.B"},
            "evaluation": {"task": "binary_classification"},
        }
        config = PipelineConfig.model_validate(raw)
        self.config = config.validation
        self.store: Store = open_store(str(folder / "store"))
        self.ingested: Ingested = ingest(config, self.store, as_of=None, now=NOW)

    def judge(self) -> ValidationReport:
        return validate_snapshot(self.config, self.ingested, self.store)

    @property
    def question(self) -> str:
        return json.dumps(
            {
                "config": self.config.model_dump(mode="json"),
                "ingested": self.ingested.model_dump(mode="json"),
                "store": self.store.where,
            }
        )


def test_the_verdict_is_on_all_rows_and_says_what_was_set_aside(tmp_path):
    """Quarantined rows count as rows; a failed expectation whose rows are apart stops nothing."""
    report = Case(tmp_path, BETWEEN, COUNT).judge()

    assert (report.success, report.rows, report.quarantined) == (True, 50, 2)
    between, count = report.results
    assert (between.success, between.unexpected_rows, between.quarantined_rows) == (False, 2, 2)
    assert (count.success, count.quarantined_rows) == (True, None)
    assert [(each.type, each.column, each.rows) for each in list_quarantined(report)] == [
        (BETWEEN["type"], "a", 2)
    ]


def test_a_failed_table_expectation_stops_under_quarantine_too(tmp_path):
    """Only rows can be set aside; and only what stops is told in the refusal."""
    report = Case(tmp_path, BETWEEN, {**COUNT, "value": 48}).judge()

    assert not report.success
    assert "1 of 2 expectations failed on 50 rows" in refusal(report).message
    assert BETWEEN["type"] not in refusal(report).message


def test_an_expectation_about_columns_sees_them_all(tmp_path):
    """Columns that no other expectation names are there for those that are about columns."""
    report = Case(
        tmp_path,
        BETWEEN,
        {"type": "expect_table_columns_to_match_ordered_list", "column_list": ["a", "b", "s", "y", "t"]},
        {"type": "expect_column_to_exist", "column": "s", "column_index": 2},
    ).judge()

    assert report.success


def test_a_missing_column_is_told_among_all_there_are(tmp_path):
    """Only few columns are read, but the hint knows all."""
    report = Case(tmp_path, {**BETWEEN, "column": "ss"}, on_failure="stop").judge()

    assert "near it: 's'" in (report.results[0].observed or "")


def test_no_expectations_read_nothing(tmp_path):
    """Without expectations there is no verdict to seek."""
    assert Case(tmp_path).judge() == ValidationReport(success=True, rows=50)


def test_a_mask_that_great_expectations_contradicts_stops_the_run(tmp_path):
    """Rows may only be set aside on terms that both counts share."""
    case = Case(tmp_path, COUNT, BETWEEN)
    (mask,) = case.ingested.masks
    case.ingested = case.ingested.model_copy(
        update={"masks": (mask.model_copy(update={"unexpected_rows": 1}),)}
    )

    with pytest.raises(DataRefused, match=r"expectations\[1\]: .*found 2 unexpected rows, the quarantine 1"):
        case.judge()


def test_the_child_answers_lines_until_there_are_no_more(tmp_path):
    """One line of JSON a question: a report, or the error that was raised on purpose."""
    good = Case(tmp_path, BETWEEN).question
    lost = good.replace("snapshots/parts/", "snapshots/parts/0")
    answers = io.StringIO()

    serve(io.StringIO(f"{good}\n{lost}\n"), answers)

    first, second = map(json.loads, answers.getvalue().splitlines())
    assert first["report"]["success"]
    assert second["error"]["type"] == "StorageError"
    assert json.loads(answer(lost))["error"]["attributes"]["key"].startswith("snapshots/parts/0")


def test_a_validator_judges_one_snapshot_after_the_other(tmp_path):
    """The process imports once; what it raises on purpose is raised here, and it lives on."""
    case = Case(tmp_path, BETWEEN)
    odd = case.config.model_validate({"expectations": [{**BETWEEN, "min_value": "abc"}]})
    validator = Validator()
    try:
        assert validator.is_free
        validator.submit(case.config, case.ingested, case.store)
        assert validator.is_asked
        assert validator.wait() == case.judge()
        assert validator.seconds > 0
        plain = case.ingested.model_copy(update={"masks": ()})
        validator.submit(odd, plain, case.store)
        with pytest.raises(ConfigError, match=r"validation.expectations\[0\]"):
            validator.wait()
        key = case.ingested.snapshot.parts[0].key
        case.store.delete(key)
        validator.submit(case.config, case.ingested, case.store)
        with pytest.raises(StorageError, match=key):
            validator.wait()
        assert validator.is_free
    finally:
        validator.close()


def test_a_validator_whose_process_dies_tells_its_last_words(tmp_path):
    """The end of standard error says why; the exit code and a question nobody read are no trouble."""
    case = Case(tmp_path, BETWEEN)
    validator = Validator(module=("-c", "raise MemoryError('no room')"))
    try:
        time.sleep(0.5)
        validator.submit(case.config, case.ingested, case.store)
        with pytest.raises(ServiceError, match=r"with exit code 1 before .*MemoryError: no room"):
            validator.wait()
        assert not validator.is_free
    finally:
        validator.close()


def test_a_validator_whose_process_is_killed_says_so(tmp_path):
    """A signal is named; where it is the kernel's for want of memory, a hint stands there."""
    case = Case(tmp_path, BETWEEN)
    validator = Validator(module=("-c", "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)"))
    try:
        validator.submit(case.config, case.ingested, case.store)
        with pytest.raises(ServiceError, match=r"by signal 9 \(is there enough memory\?\)"):
            validator.wait()
    finally:
        validator.close()


def test_a_validator_that_hangs_is_ended_in_time(tmp_path):
    """No run waits for ever; what the process said last is told."""
    case = Case(tmp_path, BETWEEN)
    code = "import sys, time; print('stuck', file=sys.stderr, flush=True); time.sleep(60)"
    validator = Validator(module=("-c", code), timeout_seconds=1.0)
    try:
        validator.submit(case.config, case.ingested, case.store)
        with pytest.raises(ServiceError, match=r"no verdict within 1 s; .*Its last words: stuck"):
            validator.wait()
    finally:
        validator.close()


def test_a_process_that_cannot_be_started_is_told(monkeypatch):
    """The system's own words, and what to do."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(ServiceError, match="Can't start the process that runs Great Expectations"):
        Validator()


def test_closing_ends_the_process_and_its_files(tmp_path, monkeypatch):
    """Nothing is left, neither process nor temporary folder, and it takes no time."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    validator = Validator()
    (child,) = [p for p in psutil.Process().children() if "evertrain.validation.child" in p.cmdline()]

    began = time.monotonic()
    validator.close()

    assert time.monotonic() - began < 1.0
    assert not child.is_running()
    assert list(tmp_path.iterdir()) == []


PARENT = """
import sys, time
from evertrain.validation.validator import Validator
validator = Validator()
print(validator._process.pid, flush=True)
time.sleep(60)
"""


def test_no_child_outlives_its_parent():
    """Killed with -9, the parent can end nothing; the child sees it and goes."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(1.0)
        os.kill(parent.pid, signal.SIGKILL)

    gone, alive = psutil.wait_procs([child], timeout=15)

    assert (len(gone), alive) == (1, [])
