"""Tests of the flow ``batch_scoring`` on a real Prefect server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from evertrain.errors import SourceError

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
BATCH = 'batch: {schedule: "0 5 * * *", input: "new-*.csv", output: "scored/{date}.parquet"}\n'
Run = Callable[..., int]


@pytest.fixture
def loans(champions: Callable[..., Path]) -> Path:
    """A pipeline with a champion, a batch in its YAML, and that batch's rows."""
    path = champions(extra=BATCH)
    rows = (path.parent / "loans.csv").read_text().splitlines()
    (path.parent / "new-1.csv").write_text("\n".join(rows[:201]) + "\n")
    return path


@pytest.fixture
def run_flow(training: object) -> Callable[..., object]:
    """The flow, within a Prefect server (``training`` holds one)."""
    from flows.batch_scoring import batch_scoring_flow

    return batch_scoring_flow


def test_the_flow_scores_what_the_yaml_names(
    loans: Path, run_flow: Callable[..., object], evertrain: Run
) -> None:
    """The answers lie where the YAML says, under the day that was asked for, as the command gives them."""
    from datetime import UTC, datetime

    report = run_flow("loans.yaml", as_of=datetime(2024, 2, 3, tzinfo=UTC))

    assert (report.rows, report.version, report.output) == (200, 1, "scored/2024-02-03.parquet")
    found = pq.read_table(loans.parent / report.output)
    assert evertrain("score", "loans.yaml", "--output", "by-hand.csv") == 0
    by_hand = pc.read_csv(loans.parent / "by-hand.csv")
    assert found["prediction"].to_pylist() == by_hand["prediction"].to_pylist()
    assert set(found["version"].to_pylist()) == {1}


def test_a_flow_whose_rows_are_not_there_fails(loans: Path, run_flow: Callable[..., object]) -> None:
    """It says which, and leaves no answers."""
    with pytest.raises(SourceError, match="gone"):
        run_flow("loans.yaml", source="gone-*.csv")

    assert not (loans.parent / "scored").exists()
