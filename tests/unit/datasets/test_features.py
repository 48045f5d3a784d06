from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain.config import DataConfig
from evertrain.datasets.features import plan_features
from evertrain.datasets.queries import open_table
from evertrain.errors import DataRefused
from evertrain.records import Feature, LeftOut

DAY = dt.date(2013, 1, 1)
# The last two rows are held out and unlabelled: what they hold is measured by nothing.
ROWS = {
    "y": [0, 1, 0, 1, 1, None],
    "number": [1.5, 2.5, None, 3.5, 1e30, 1.0],
    "count": [1, 2, 3, 4, 5, 6],
    "flag": [True, False, None, True, True, True],
    "text": ["a", "b", "a", "b", "c", "d"],
    "day": [DAY, dt.date(2013, 1, 2), DAY, DAY, DAY, DAY],
    "when": [dt.datetime(2013, 1, 1, hour) for hour in range(6)],
    "large": [2**30, 2**30 + 2, 2**30 + 4, 2**30 + 6, 0, 0],
    "constant": [7, 7, 7, 7, 8, 9],
    "constant but missing": ["x", "x", None, "x", "x", "x"],
    "nothing": pa.array([None, None, None, None, "x", "x"]),
    "half unique": ["a", "b", "a", "b", "c", "d"],
    "name": ["a", "b", "c", "c", "c", "c"],
    "list": [[1], [2], [3], [4], [5], [6]],
    "__index_level_0__": [3, 1, 2, 5, 6, 7],
}


def plan(tmp_path, rows=ROWS, **data):
    config = DataConfig.model_validate({"source": {"type": "files", "uri": "x.csv"}, "target": "y", **data})
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    with open_table([tmp_path / "a.parquet"], None) as table:
        place = "c0" if "y" in rows else "1"
        extra = {"labelled": f"{place} IS NOT NULL", "holdout": "c2 = 5" if "count" in rows else "false"}
        return plan_features(table.keep("kept", "true", **extra), config)


def test_the_default_plan(tmp_path):
    """Numbers and booleans are numeric, texts categorical, times datetime; the rest is left out."""
    found = plan(tmp_path)

    assert found.features == (
        Feature(name="number", kind="numeric", type="float"),
        Feature(name="count", kind="numeric", type="integer"),
        Feature(name="flag", kind="numeric", type="boolean"),
        Feature(name="text", kind="categorical", type="string"),
        Feature(name="day", kind="datetime", type="date"),
        Feature(name="when", kind="datetime", type="timestamp"),
        Feature(name="large", kind="numeric", type="integer", offset=2**30 + 3),
        Feature(name="constant but missing", kind="categorical", type="string"),
        Feature(name="half unique", kind="categorical", type="string"),
    )
    assert found.left_out == (
        LeftOut(name="constant", reason="constant"),
        LeftOut(name="nothing", reason="all null"),
        LeftOut(name="name", reason="name-like: 3 different texts in 4 rows"),
        LeftOut(name="list", reason="nested, mixed, or of a type that is no feature"),
        LeftOut(name="__index_level_0__", reason="pandas' row index"),
    )


def test_columns_with_a_role_are_no_features_by_default(tmp_path):
    """Target, timestamp, entity and weight are neither features nor left out."""
    found = plan(tmp_path, timestamp="when", entity=["text"], weight="number")

    names = [feature.name for feature in found.features] + [each.name for each in found.left_out]
    assert not {"y", "when", "text", "number"} & set(names)


def test_listed_features_are_used_whatever_they_hold(tmp_path):
    """Kinds follow the list, not the type; what isn't listed may still be sent."""
    listed = {
        "numeric": ["constant", "nothing", "flag"],
        "categorical": ["count", "name", "day", "text"],
        "datetime": ["when"],
    }

    rows = ROWS | {"nothing": pa.array([None] * 6, pa.string())}

    found = plan(tmp_path, rows, features=listed, entity=["text"])

    assert [(each.name, each.kind, each.type) for each in found.features] == [
        ("constant", "numeric", "integer"),
        ("nothing", "numeric", "float"),
        ("flag", "numeric", "boolean"),
        ("count", "categorical", "integer"),
        ("name", "categorical", "string"),
        ("day", "categorical", "date"),
        ("text", "categorical", "string"),
        ("when", "datetime", "timestamp"),
    ]
    assert {each.name for each in found.left_out} == {
        "number", "large", "constant but missing", "half unique", "list", "__index_level_0__",
    }  # fmt: skip
    assert {each.reason for each in found.left_out} == {"not listed in data.features"}


def test_an_empty_list_of_features_is_the_default(tmp_path):
    """`features: {}` names none, so the plan is the default one."""
    assert plan(tmp_path, features={}) == plan(tmp_path)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (
            {"numeric": ["text"]},
            "numeric: column 'text' holds text, such as 'a', 'b', 'c'. List it under categorical",
        ),
        ({"numeric": ["day"]}, "holds dates, such as 2013-01-01, 2013-01-02. List it under datetime"),
        ({"categorical": ["list"]}, "holds nested, mixed or other values.* ->> where it is JSON"),
    ],
)
def test_listed_features_of_another_kind_are_refused(tmp_path, listed, message):
    """The refusal shows values and says where the column belongs."""
    with pytest.raises(DataRefused, match=message):
        plan(tmp_path, features=listed)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e39, 1e300])
def test_numbers_that_fit_no_model_are_refused(tmp_path, value):
    """Infinite numbers, and those that don't fit 32 bits, are counted on both sides."""
    rows = {"y": [0, 1, 0], "x": [1.0, value, 2.0], "z": [1, 2, 3]}

    with pytest.raises(DataRefused, match="'x' is infinite, or too large for 32 bits, in 1 rows"):
        plan(tmp_path, rows)


def test_a_plan_needs_a_feature(tmp_path):
    """Where every column is left out, the reasons are told."""
    with pytest.raises(
        DataRefused, match=r"No column is left to learn from \('x': constant; 'n': all null\)"
    ):
        plan(tmp_path, {"y": [0, 1], "x": [1, 1], "n": pa.array([None, None], pa.int64())})


@pytest.mark.parametrize(
    ("values", "offset"),
    [
        ([0.0, 0.0, 1.0], 0.0),
        ([1.0, 2.0, None], 0.0),
        ([2**24, 1, 3], 0.0),
        ([2**24 + 1, 2**24 + 9, 2**24 + 4], 2**24 + 4),
        ([2**25, None, 2**25 + 1], 2**25),
        ([1e6 + 0.75, None, 1e6 + 0.25], 1e6 + 0.5),
        ([-1e6 + 0.25, -1e6 + 0.75, None], -1e6 + 0.5),
        ([0.0, None, 1e6 + 0.5], 0.0),
    ],
)
def test_offsets_are_the_median_of_the_learnt_numbers(tmp_path, values, offset):
    """Of integers beyond 2^24 and of means over 1000 spreads; else there is none."""
    rows = {"y": [0, 1, 0], "x": values, "z": [1, 2, 3]}

    found = plan(tmp_path, rows, features={"numeric": ["x"]})

    assert [each.offset for each in found.features] == [offset]


def test_a_feature_without_numbers_has_no_offset(tmp_path):
    """There is nothing to take it from."""
    rows = {"y": [0, 1], "x": pa.array([None, None], pa.float64())}

    assert plan(tmp_path, rows, features={"numeric": ["x"]}).features[0].offset == 0.0
