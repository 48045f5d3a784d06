from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets.current import open_current
from evertrain.errors import ConfigError, DataRefused, SourceError

START = datetime(2013, 1, 1)
NOW = datetime(2020, 1, 1, tzinfo=UTC)


def pipeline(uri: Path, *, drift: dict[str, Any] | None = None, **data: Any) -> PipelineConfig:
    source = {"type": "files", "uri": str(uri)}
    return PipelineConfig.model_validate(
        {
            "name": "p",
            "data": {
                "source": source,
                "target": "y",
                "timestamp": "when",
                **data,
            },
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": "binary_classification"},
            "drift": drift or {},
        }
    )


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Forty days, a row each at midnight; every third has no label; two rows have no time."""
    numbers = range(1, 41)
    rows = pd.DataFrame(
        {
            "when": [*(START + timedelta(days=number) for number in numbers), None, None],
            "number": [*numbers, 98, 99],
            "text": [*(f"t{number % 4}" if number % 5 else None for number in numbers), "x", "x"],
            "y": [*([None, True, False][number % 3] for number in numbers), True, False],
        }
    )
    rows.to_parquet(tmp_path / "days.parquet")
    return tmp_path / "days.parquet"


def numbers_of(rows: Any) -> Sequence[int]:
    return sorted(rows.column("number").tolist())


def test_the_newest_week_is_read_labelled_or_not(days: Path) -> None:
    """By default the newest seven days of the data, without those of no time, are the current rows."""
    with open_current(pipeline(days), as_of=None, now=NOW) as current:
        assert (current.rows, numbers_of(current)) == (7, list(range(34, 41)))
        assert current.as_of == current.newest == datetime(2013, 2, 10, tzinfo=UTC)
        assert current.window == timedelta(days=7)
        assert current.names == ("when", "number", "text", "y")
        values, counts = current.count_values("text")
        assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
            None: 2,
            "t0": 1,
            "t1": 1,
            "t2": 2,
            "t3": 1,
        }


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (datetime(2013, 1, 21, tzinfo=UTC), range(14, 21)),
        (datetime(2013, 1, 21, 12, tzinfo=UTC), range(14, 21)),
        (datetime(2013, 1, 20, 23, 59, tzinfo=UTC), range(13, 20)),
        (datetime(2013, 1, 20, 20, tzinfo=UTC), range(13, 20)),
        (datetime(2013, 2, 14, tzinfo=UTC), range(38, 41)),
    ],
)
def test_as_of_hides_what_is_later(days: Path, as_of: datetime, expected: range) -> None:
    """The window ends with as-of, included, and begins a week before, excluded: as a hold-out does."""
    with open_current(pipeline(days), as_of=as_of, now=NOW) as current:
        assert numbers_of(current) == list(expected)
        assert current.as_of == as_of
        assert current.newest == datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=expected[-1])


def test_now_is_as_of_where_the_data_goes_on(days: Path) -> None:
    """Rows of the future don't exist without being told so."""
    now = datetime(2013, 1, 11, tzinfo=UTC)
    with open_current(pipeline(days), as_of=None, now=now) as current:
        assert (numbers_of(current), current.as_of) == (list(range(4, 11)), now)


def test_a_window_after_all_rows_is_empty(days: Path) -> None:
    """A source that has stood still gives no current rows, and says how old its newest is."""
    with open_current(pipeline(days), as_of=NOW, now=NOW) as current:
        assert (current.rows, current.column("number").tolist()) == (0, [])
        assert current.newest == datetime(2013, 2, 10, tzinfo=UTC)
        assert current.sample(5, seed=0).num_rows == 0


def test_the_rolling_reference_is_the_window_before(days: Path) -> None:
    """Of the same length, ending where the current one begins; only there where it is asked for."""
    drift = {"reference": "rolling", "current": {"window": "10d"}}
    with open_current(pipeline(days, drift=drift), as_of=None, now=NOW) as current:
        assert numbers_of(current) == list(range(31, 41))
        assert numbers_of(current.before) == list(range(21, 31))
    with open_current(pipeline(days), as_of=None, now=NOW) as current:
        assert current.before.rows == 0


def test_the_query_comes_first(days: Path) -> None:
    """Current rows are what the pipeline learns from, filtered and derived as there."""
    query = "SELECT *, number * 2 AS twice FROM source WHERE number % 2 = 0"
    with open_current(pipeline(days, query=query), as_of=None, now=NOW) as current:
        assert numbers_of(current) == [34, 36, 38, 40]
        assert sorted(current.column("twice")) == [68, 72, 76, 80]


def test_a_check_needs_a_timestamp(days: Path) -> None:
    """Without times there is no newest window: the YAML is what to change."""
    with pytest.raises(ConfigError, match="compares the newest rows") as caught:
        open_current(pipeline(days, timestamp=None), as_of=None, now=NOW).__enter__()
    assert caught.value.attributes["path"] == "data.timestamp"


@pytest.mark.parametrize(
    ("data", "as_of", "kind", "message"),
    [
        ({"target": "z"}, None, SourceError, "data.target names 'z'"),
        ({"query": "SELECT * FROM source WHERE number > 1000"}, None, SourceError, "gives no rows"),
        ({}, datetime(2012, 1, 1, tzinfo=UTC), DataRefused, "no row of 'when' lies at or before"),
        ({"timestamp": "number"}, None, SourceError, "expected times"),
    ],
)
def test_what_ingest_refuses_is_refused(
    days: Path, data: dict[str, Any], as_of: datetime | None, kind: type[Exception], message: str
) -> None:
    """A missing column, an empty query, no row before as-of: told as training tells it."""
    with pytest.raises(kind, match=message):
        open_current(pipeline(days, **data), as_of=as_of, now=NOW).__enter__()
