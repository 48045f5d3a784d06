"""Tests of the verdict on a snapshot, its quarantined rows included, and of the process that gives it."""

from __future__ import annotations

import json
from contextlib import closing
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
from evertrain.validation.child import answer
from evertrain.validation.snapshots import validate_snapshot
from evertrain.validation.validator import ValidatorBeside, start_validator

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
    def question(self) -> dict:
        return {
            "config": self.config.model_dump(mode="json"),
            "ingested": self.ingested.model_dump(mode="json"),
            "store": self.store.where,
        }


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


def test_the_child_gives_a_report_or_raises_on_purpose(tmp_path):
    """What it is asked and what it answers is JSON; a snapshot that is gone is told with its key."""
    good = Case(tmp_path, BETWEEN).question
    lost = json.loads(json.dumps(good).replace("snapshots/parts/", "snapshots/parts/0"))

    assert ValidationReport.model_validate(json.loads(json.dumps(answer(good)))).success
    with pytest.raises(StorageError) as raised:
        answer(lost)
    assert raised.value.attributes["key"].startswith("snapshots/parts/0")


def test_a_validator_judges_one_snapshot_after_the_other(tmp_path):
    """The process imports once; what it raises on purpose is raised here, and it lives on."""
    case = Case(tmp_path, BETWEEN)
    odd = case.config.model_validate({"expectations": [{**BETWEEN, "min_value": "abc"}]})
    validator = ValidatorBeside()
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


def test_a_validator_whose_process_dies_is_not_asked_again(tmp_path):
    """What was the matter is told in Great Expectations' name; a run that comes after starts another."""
    case = Case(tmp_path, BETWEEN)
    with closing(ValidatorBeside(words=("-c", "raise MemoryError('no room')"))) as validator:
        validator.submit(case.config, case.ingested, case.store)
        with pytest.raises(ServiceError, match=r"Great Expectations ended .* before it gave its verdict"):
            validator.wait()
        assert not validator.is_free


def test_a_validator_that_hangs_is_ended_in_time(tmp_path):
    """No run waits for ever, and the message says what could be asked less of it."""
    case = Case(tmp_path, BETWEEN)
    words = ("-c", "import time; time.sleep(60)")
    with closing(ValidatorBeside(words=words, timeout_seconds=1.0)) as validator:
        validator.submit(case.config, case.ingested, case.store)
        with pytest.raises(ServiceError, match=r"no verdict within 1 s; .* fewer rows or fewer expectations"):
            validator.wait()


def test_where_great_expectations_is_imported_no_process_is_started(tmp_path):
    """In a process that has it, judging here is quicker than another import elsewhere."""
    import great_expectations  # noqa: F401 - that is the case

    case = Case(tmp_path, BETWEEN)
    before = psutil.Process().children()
    with closing(start_validator()) as validator:
        assert psutil.Process().children() == before
        assert validator.is_free
        validator.submit(case.config, case.ingested, case.store)
        assert not validator.is_free
        assert validator.wait() == case.judge()
        assert validator.seconds > 0
        assert validator.is_free
