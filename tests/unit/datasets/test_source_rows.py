from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.datasets.source_rows import type_rows
from evertrain.errors import SourceError


class Colour(StrEnum):
    RED = "red"


def type_column(*batches, unknown=None):
    """The types that a column had batch by batch, and its values."""
    rows = [[(value,) for value in batch] for batch in batches]
    made = list(type_rows(["a"], rows, "The query", {"a": unknown} if unknown else {}))
    return [str(batch.schema.field("a").type) for batch in made], [
        value for batch in made for value in batch.column("a").to_pylist()
    ]


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        ([True, None], "bool", [True, None]),
        ([1, 2**63 - 1, -(2**63)], "int64", [1, 2**63 - 1, -(2**63)]),
        ([1, 2**63], "double", [1.0, 2.0**63]),
        ([1, 0.5, Decimal("0.25"), None], "double", [1.0, 0.5, 0.25, None]),
        ([timedelta(minutes=1)], "double", [60.0]),
        (["x", "", None], "string", ["x", "", None]),
        ([Colour.RED], "string", ["red"]),
        ([UUID(int=0)], "string", ["00000000-0000-0000-0000-000000000000"]),
        ([{"b": 1, "a": date(2013, 1, 1)}, [1]], "string", ['{"a": "2013-01-01", "b": 1}', "[1]"]),
        ([b"x", memoryview(b"y")], "binary", [b"x", b"y"]),
        ([date(2013, 1, 1)], "date32[day]", [date(2013, 1, 1)]),
        ([time(1, 2)], "time64[us]", [time(1, 2)]),
        ([datetime(2013, 1, 1)], "timestamp[us]", [datetime(2013, 1, 1)]),
        (
            [datetime(2013, 1, 1, tzinfo=timezone(timedelta(hours=2))), None],
            "timestamp[us, tz=UTC]",
            [datetime(2012, 12, 31, 22, tzinfo=UTC), None],
        ),
        ([None], "null", [None]),
    ],
)
def test_a_column_has_the_type_of_its_values(values, kind, read):
    """Python's types become Arrow's; what Arrow can't learn from becomes text or a number."""
    assert type_column(values) == ([kind, kind], read)


def test_types_widen_from_batch_to_batch():
    """Nothing becomes anything, integers become floats; the last, empty batch has the final types."""
    kinds, values = type_column([None], [1], [None], [2.5], [3])

    assert kinds == ["null", "int64", "int64", "double", "double", "double"]
    assert values == [None, 1, None, 2.5, 3.0]


def test_a_column_without_values_has_the_type_that_its_driver_tells():
    """But only at the end: until then a value may come and tell better."""
    assert type_column([None], unknown="float")[0] == ["null", "double"]
    assert type_column([None], [1], unknown="float")[0] == ["null", "int64", "int64"]
    assert type_column(unknown="text")[0] == ["string"]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([["x", 1]], "two types, (text and integer|integer and text)"),
        ([["x"], [1]], "two types, text and integer; expected one. Cast it there"),
        ([[True, 1]], "boolean"),
        ([[datetime(2013, 1, 1)], [date(2013, 1, 1)]], "two types, local time and date"),
        ([[datetime(2013, 1, 1), datetime(2013, 1, 1, tzinfo=UTC)]], "local time and zoned time"),
        ([[1j]], "values of type complex, which can't be learnt from"),
        ([["\ud800"]], "a value that is no text"),
        ([[10**400]], "a value that is no float"),
    ],
)
def test_what_has_no_one_type_names_its_column(batches, message):
    """And says where to cast it."""
    with pytest.raises(SourceError, match=rf"The query gives column 'a' .*{message}"):
        type_column(*batches)


@given(
    st.lists(
        st.lists(st.none() | st.integers(-100, 100) | st.floats(allow_nan=False), min_size=1), min_size=1
    )
)
def test_how_rows_are_cut_into_batches_changes_no_value(batches):
    """The final type and the values are those of one batch of all."""
    kinds, values = type_column(*batches)
    whole, together = type_column([value for batch in batches for value in batch])

    assert kinds[-1] == whole[-1]
    assert values == together
    assert pa.array(values, whole[-1]).to_pylist() == together
