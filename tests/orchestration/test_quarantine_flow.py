from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evertrain.config.files import load_config
from evertrain.datasets import read_manifest, read_quarantine
from evertrain.errors import ConfigError, DataRefused
from evertrain.settings import read_settings
from evertrain.storage import open_store
from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
Write = Callable[..., Path]
Run = Callable[..., int]
Answer = Callable[[], dict[str, Any]]
LEARNER = "sklearn.gaussian_process.GaussianProcessClassifier"
VALIDATION = """\
validation:
  on_failure: quarantine
  expectations:
    - {type: expect_column_values_to_be_between, column: income, min_value: 22, max_value: 200}
    - {type: expect_column_values_to_be_in_set, column: purpose, value_set: [car, home, trip]}
    - {type: expect_table_row_count_to_be_between, min_value: 600}
"""


def test_quarantined_rows_leave_the_run_and_are_told(
    training: TrainingFlow, champions: Write, home: Path
) -> None:
    """The run goes on with the clean rows; outcome, page and store say which left and why."""
    outcome = training(str(champions(LEARNER, extra=VALIDATION)))

    (told,) = outcome.quarantined
    assert (told.type, told.column) == ("expect_column_values_to_be_between", "income")
    assert told.rows == outcome.snapshot.quarantined > 0
    assert outcome.snapshot.rows + outcome.snapshot.quarantined == 600
    page = (home / "store" / "reports" / "loans" / "1.html").read_text()
    assert f"{told.rows} rows quarantined" in page
    store = open_store(str(home / "store"))
    apart = read_quarantine(store, read_manifest(store, outcome.snapshot.digest))
    assert apart.num_rows == told.rows
    assert all(value < 22 for value in apart["income"].to_pylist())


def test_the_command_shows_what_was_quarantined(
    champions: Write, evertrain: Run, answer: Answer, capfd: pytest.CaptureFixture[str]
) -> None:
    """A person reads for which expectation how many rows left; a program finds the same."""
    path = str(champions(LEARNER, extra=VALIDATION))
    capfd.readouterr()

    assert evertrain("train", path) == 0
    assert "quarantined for" in capfd.readouterr().out
    assert evertrain("train", path, "--json") == 0
    said = answer()
    assert said["cached"]
    assert said["quarantined"][0]["rows"] == said["snapshot"]["quarantined"] > 0
    assert evertrain("check", path, "--data") == 0


def test_other_expectations_are_another_ingest(training: TrainingFlow, champions: Write) -> None:
    """What an earlier run ingested is not recalled for expectations that would have taken other rows."""
    path = champions(LEARNER, extra=VALIDATION)
    first = training(str(path))
    path.write_text(path.read_text().replace("22", "20"))

    second = training(str(path))

    assert (first.cached, second.cached) == (True, False)
    assert second.snapshot.quarantined < first.snapshot.quarantined
    assert second.snapshot.digest != first.snapshot.digest


def test_a_failed_table_expectation_stops_under_quarantine(
    training: TrainingFlow, home: Path, write_pipeline: Write
) -> None:
    """Only rows can be set aside."""
    with pytest.raises(DataRefused, match="1 of 3 expectations failed"):
        training(str(write_pipeline(extra=VALIDATION.replace("min_value: 600", "min_value: 601"))))


def test_an_expectation_without_a_mask_is_refused_by_check(home: Path, write_pipeline: Write) -> None:
    """What depends on the rows' order can't say which to set aside; `stop` may go on using it."""
    counted = "table_row_count_to_be_between, min_value: 600"
    increasing = "column_values_to_be_increasing, column: income"
    path = write_pipeline(extra=VALIDATION.replace(counted, increasing))

    with pytest.raises(ConfigError, match=r"validation\.expectations\[2\]\.type: .*under quarantine"):
        load_config(path, read_settings())
    assert load_config(path, read_settings(), ("validation.on_failure=stop",)).validation.expectations
