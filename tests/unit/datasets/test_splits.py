from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.config import DataConfig
from evertrain.datasets.queries import open_table
from evertrain.datasets.splits import split_rows
from evertrain.errors import DataRefused

START = datetime(2013, 1, 1)
NOW = datetime(2020, 1, 1, tzinfo=UTC)


def split(tmp_path, columns, *, query=None, as_of=None, now=NOW, **data):
    """Which values of the first column are learnt from and which held out, and the split itself."""
    config = DataConfig.model_validate({"source": {"type": "files", "uri": "x.csv"}, "target": "y", **data})
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with open_table([tmp_path / "a.parquet"], query) as table:
        found = split_rows(table, config, as_of=as_of, now=now)
        rows = table.fetch(table.cells[0].sql, found.holdout, where=found.kept, rest="ORDER BY ALL")
    return [value for value, side in rows if not side], [value for value, side in rows if side], found


def days(*numbers):
    return [None if number is None else START + timedelta(days=number) for number in numbers]


def test_the_window_takes_the_newest_rows(tmp_path):
    """The last `holdout` before as-of is held out, the `train` before it learnt; the older end is open."""
    columns = {"id": list(range(9)), "t": days(0, 1, 2, 3, 4, 5, 6, 7, None), "y": [1] * 9}

    learnt, held_out, found = split(
        tmp_path,
        columns,
        timestamp="t",
        window={"train": "3d", "holdout": "2d"},
        as_of=START + timedelta(days=6),
    )

    assert (learnt, held_out) == ([2, 3, 4], [5, 6])
    assert found.without_timestamp == 1
    assert found.newest == found.as_of == START + timedelta(days=6)
    assert found.extent == "from 2013-01-01T00:00:00Z to 2013-01-07T00:00:00Z"


@pytest.mark.parametrize(
    ("as_of", "now", "expected"),
    [
        (None, NOW, START + timedelta(days=9)),
        (None, datetime(2013, 1, 5, 12, tzinfo=UTC), datetime(2013, 1, 5, 12)),
        (datetime(2013, 1, 4, 23, tzinfo=timezone(timedelta(hours=-2))), NOW, datetime(2013, 1, 5, 1)),
        (datetime(2030, 1, 1), NOW, datetime(2030, 1, 1)),
    ],
)
def test_as_of_hides_what_is_later(tmp_path, as_of, now, expected):
    """As-of is as given, else now, or the newest row where the data ends earlier; later rows don't exist."""
    columns = {"t": days(*range(10)), "y": [1] * 10}

    learnt, held_out, found = split(tmp_path, columns, timestamp="t", as_of=as_of, now=now)

    assert found.as_of == expected
    assert learnt + held_out == [day for day in days(*range(10)) if day <= expected]
    assert found.newest == held_out[-1]


@pytest.mark.parametrize(
    ("numbers", "holdout"),
    [
        (range(10), [8, 9]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 7, 7], [7, 7, 7]),
        ([0, 1, 2, 3, 4, 5, 9, 9, 9, 9], [9, 9, 9, 9]),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [1]),
    ],
)
def test_the_newest_fifth_is_held_out(tmp_path, numbers, holdout):
    """Without a window the newest 20 % are held out; rows of one time stand on one side."""
    learnt, held_out, _ = split(tmp_path, {"t": days(*numbers), "y": [1] * 10}, timestamp="t")

    assert held_out == days(*holdout)
    assert sorted(learnt + held_out) == days(*numbers)


def test_the_fifth_is_one_of_labelled_rows(tmp_path):
    """Unlabelled rows don't count, but stand on the side of their time."""
    columns = {"id": list(range(12)), "t": days(*range(12)), "y": [1] * 10 + [None, None]}

    learnt, held_out, _ = split(tmp_path, columns, timestamp="t")

    assert (learnt, held_out) == (list(range(8)), [8, 9, 10, 11])


@pytest.mark.parametrize(
    ("numbers", "as_of", "message"),
    [
        (
            [3, 4],
            START,
            "no row of 't' lies at or before 2013-01-01T00:00:00Z; the data begins at 2013-01-04T00",
        ),
        ([None, None], None, "column 't' is null in every row"),
        (
            [3, 3],
            None,
            "fewer than two different times in 't' have a labelled row up to 2013-01-04T00:00:00Z",
        ),
    ],
)
def test_rows_that_time_can_t_split(tmp_path, numbers, as_of, message):
    """Where no row lies before as-of, or all at one time, the message says where the data lies."""
    columns = {"t": pa.array(days(*numbers), pa.timestamp("us")), "y": [1, 2]}

    with pytest.raises(DataRefused, match=message):
        split(tmp_path, columns, timestamp="t", as_of=as_of)


def test_without_a_timestamp_about_a_fifth_is_held_out(tmp_path):
    """Rows are sided by their own hash."""
    learnt, held_out, found = split(tmp_path, {"id": list(range(5000)), "y": [1] * 5000}, as_of=START)

    assert sorted(learnt + held_out) == list(range(5000))
    assert 900 < len(held_out) < 1100
    assert (found.as_of, found.newest) == (START, None)


def test_a_row_s_side_is_its_sha_256(tmp_path):
    """A row stands where this text's digest puts it, for ever: a change here would move rows across."""
    columns = {"id": list(range(60)), "x": [0.5, 2.0, None] * 20, "y": ["a", "b"] * 30}
    texts = [
        "\x1f".join([f"id={number}", *{0: ["x=0.5"], 1: ["x=2"], 2: []}[number % 3], f"y={'ab'[number % 2]}"])
        for number in columns["id"]
    ]
    digests = [hashlib.sha256(text.encode()).digest() for text in texts]

    assert split(tmp_path, columns)[1] == [
        number for number in columns["id"] if digests[number] < b"\x33" * 4
    ]


def test_an_entity_stands_on_one_side(tmp_path):
    """All rows of an entity stand together, whatever else they hold and whichever type it was read with."""
    columns = {"who": [number % 50 for number in range(500)], "x": list(range(500)), "y": [1] * 500}

    learnt, held_out, _ = split(tmp_path, columns, entity=["who"])
    as_floats = split(tmp_path, columns | {"who": [float(who) for who in columns["who"]]}, entity=["who"])

    assert not set(learnt) & set(held_out)
    assert held_out
    assert as_floats[1] == held_out


def test_new_and_derived_columns_move_no_row(tmp_path):
    """A later column that is null for old rows, and what the query derives, leave sides as they are."""
    columns = {"id": list(range(300)), "x": [number % 7 for number in range(300)], "y": [1] * 300}
    sides = split(tmp_path, columns)[:2]

    assert split(tmp_path, columns, query="SELECT *, x > 3 AS derived FROM source")[:2] == sides
    assert split(tmp_path, columns | {"new": pa.array([None] * 300, pa.int64())})[:2] == sides
    assert split(tmp_path, columns | {"x": [float(x) for x in columns["x"]]})[:2] == sides


def test_renamed_columns_are_hashed_too(tmp_path):
    """Where the query doesn't keep the source's columns, all of its own decide, not the target alone."""
    columns = {"a": list(range(300)), "y": [number % 2 for number in range(300)]}

    _, held_out, _ = split(tmp_path, columns, query="SELECT a AS b, y FROM source")

    assert 30 < len(held_out) < 90


ROWS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", None])), min_size=1, max_size=30)


@settings(max_examples=20, deadline=None)
@given(rows=ROWS, data=st.data())
def test_the_split_is_a_partition_that_no_order_changes(tmp_path_factory, rows, data):
    """Each row stands on one side, equal rows on the same, in whichever order they come."""
    folder = tmp_path_factory.mktemp("rows")
    shuffled = data.draw(st.permutations(rows))
    query = "SELECT x || coalesce(z, '-') AS row, x, z, 1 AS y FROM source"

    def sides(ordered):
        xs, zs = zip(*ordered, strict=True)
        return split(folder, {"x": xs, "z": pa.array(zs, pa.string())}, query=query)[:2]

    learnt, held_out = sides(rows)
    assert sorted(learnt + held_out) == sorted(f"{x}{z or '-'}" for x, z in rows)
    assert not set(learnt) & set(held_out)
    assert sides(shuffled) == (learnt, held_out)
