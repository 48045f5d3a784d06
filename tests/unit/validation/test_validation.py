"""Tests of running Great Expectations over tables, on its own suite and results."""

from __future__ import annotations

import datetime as dt
import decimal
import subprocess
import sys

import pyarrow as pa
import pytest

from evertrain.config import ValidationConfig
from evertrain.errors import ConfigError, DataRefused
from evertrain.validation import refusal, validate

BIG = 2**60 + 1


def table(**columns) -> pa.Table:
    return pa.table({name.replace("__", " "): pa.array(values) for name, values in columns.items()})


def run(data: pa.Table, *expectations: dict):
    return validate(ValidationConfig(expectations=expectations), data)


def one(data: pa.Table, kind: str, **arguments):
    return run(data, {"type": kind, **arguments}).results[0]


def test_no_expectations_is_success_without_the_library():
    """A pipeline without expectations doesn't pay for Great Expectations."""
    code = (
        "import sys, pyarrow as pa; from evertrain.config import ValidationConfig;"
        "from evertrain.validation import validate;"
        "r = validate(ValidationConfig(), pa.table({'a': [1, 2]})); assert r.success and r.rows == 2;"
        "sys.exit('great_expectations' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_results_stand_in_the_order_of_the_yaml():
    """Great Expectations orders by column; the report doesn't."""
    data = table(a=[1, 2, 3], b=[1, 2, 3])
    kinds = ["expect_column_values_to_be_unique", "expect_table_row_count_to_equal"]
    report = run(
        data,
        {"type": kinds[0], "column": "b"},
        {"type": kinds[1], "value": 3},
        {"type": kinds[0], "column": "a"},
    )

    assert report.success
    assert [(r.type, r.column) for r in report.results] == [
        (kinds[0], "b"),
        (kinds[1], None),
        (kinds[0], "a"),
    ]


def test_failed_values_are_counted_with_distinct_examples():
    """A failed expectation has its count, its share of the present values, and no example twice."""
    result = one(table(a=[1, 9, 9, 8, None]), "expect_column_values_to_be_between", column="a", max_value=5)

    assert not result.success
    assert (result.unexpected_rows, result.unexpected_share, result.examples) == (3, 0.75, ("9", "8"))


def test_mostly_is_honoured():
    """A share of unexpected values below what `mostly` allows is a success."""
    data = table(a=[1, 2, 3, 99])

    assert one(data, "expect_column_values_to_be_between", column="a", max_value=5, mostly=0.75).success
    assert not one(data, "expect_column_values_to_be_between", column="a", max_value=5, mostly=0.8).success


@pytest.mark.parametrize(
    ("values", "allowed", "examples"),
    [
        ([1, None, 2, 3], [1, 2], ("3",)),
        ([BIG, None, 1], [BIG - 1, 1], (str(BIG),)),
        ([True, None, False], [True], ("False",)),
        (["a", None, "Yes"], ["a"], ("'Yes'",)),
        ([1.5, None, 2.0], [1.5], ("2.0",)),
        ([dt.date(2020, 1, 1), None, dt.date(2020, 1, 2)], ["2020-01-01"], ("'2020-01-02T00:00:00'",)),
        (
            [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None, dt.datetime(2020, 1, 2, tzinfo=dt.UTC)],
            ["2020-01-01T01:00:00+01:00"],
            ("'2020-01-02T00:00:00'",),
        ),
        ([decimal.Decimal("1.5"), None, decimal.Decimal("2.5")], [1.5], ("2.5",)),
    ],
    ids=["integer", "large-integer", "boolean", "string", "float", "date", "timestamp", "decimal"],
)
def test_sets_hold_for_every_type_with_gaps(values, allowed, examples):
    """Missing values are no violations, and change no other value, whatever the column's type."""
    result = one(table(a=values), "expect_column_values_to_be_in_set", column="a", value_set=allowed)

    assert (result.unexpected_rows, result.examples) == (1, examples)


def test_missing_values_are_found_in_every_type():
    """Nulls and NaN are missing, in every dtype."""
    columns = {
        "i": [1, None],
        "b": [True, None],
        "s": ["a", None],
        "f": [1.0, float("nan")],
        "d": [dt.date.today(), None],
    }
    report = run(
        table(**columns), *({"type": "expect_column_values_to_not_be_null", "column": c} for c in columns)
    )

    assert [r.unexpected_rows for r in report.results] == [1] * 5


def test_dictionary_columns_are_their_values():
    """Dictionary-encoded strings are checked as strings."""
    data = pa.table({"a": pa.array(["x", "y", None]).dictionary_encode()})

    assert one(data, "expect_column_values_to_be_in_set", column="a", value_set=["x", "y"]).success


def test_times_are_compared_as_the_yaml_spells_them():
    """A date in the YAML bounds a zoned time column, in UTC."""
    data = table(t=[dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3)])

    result = one(data, "expect_column_values_to_be_between", column="t", min_value="2020-01-02")

    assert result.unexpected_rows == 1


def test_aggregates_tell_what_was_found():
    """A failed aggregate says what it came to."""
    result = one(
        table(d=[dt.date(2020, 1, 5), None]),
        "expect_column_max_to_be_between",
        column="d",
        max_value="2020-01-03",
    )

    assert (result.success, result.observed) == (False, "found '2020-01-05T00:00:00'")
    assert (
        one(table(a=[1, 2, 3]), "expect_column_mean_to_be_between", column="a", min_value=2).observed
        == "found 2"
    )


def test_columns_that_differ_in_case_only_are_told_apart():
    """Great Expectations alone would look at the first of the two."""
    data = pa.table({"a": [1, 1], "A": [5, 5]})

    result = one(data, "expect_column_values_to_be_between", column="A", max_value=2)

    assert (result.column, result.unexpected_rows) == ("A", 2)


def test_pairs_and_lists_of_columns_are_checked():
    """Expectations over several columns name them all and show plain numbers."""
    data = table(a=[1, 2, None], b=[1, 1, 1])
    pair = one(data, "expect_column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="b")

    assert (pair.column, pair.unexpected_rows, pair.examples[0]) == ("a, b", 2, "[1, 1]")
    compound = one(
        table(a=[1, 1], b=["x", "x"]), "expect_compound_columns_to_be_unique", column_list=["a", "b"]
    )
    assert (compound.unexpected_rows, compound.examples) == (2, ("{'a': 1, 'b': 'x'}",))


def test_missing_column_fails_by_name_with_the_nearest():
    """A named column that isn't there is a failed expectation that says which are."""
    report = run(table(distance=[1]), {"type": "expect_column_values_to_be_unique", "column": "distanse"})

    assert not report.success
    assert "no column 'distanse'; near it: 'distance'" in report.results[0].observed


def test_a_column_s_absence_can_be_expected_about():
    """Expectations about columns themselves may name missing ones."""
    assert not one(table(a=[1]), "expect_column_to_exist", column="b").success
    assert not one(table(a=[1]), "expect_table_columns_to_match_set", column_set=["a", "b"]).success


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("expect_column_values_to_be_between", {"min_value": 3}, "can't be compared with numbers"),
        ("expect_column_max_to_be_between", {"min_value": 3}, "can't be compared with numbers"),
        ("expect_column_mean_to_be_between", {"min_value": 3}, "this needs numbers"),
    ],
)
def test_what_text_can_t_answer_fails_with_what_to_do(name, arguments, said):
    """Numbers asked of a column of text are a failure that names the column, not Python's own words."""
    result = one(table(s=["a", "b"]), name, column="s", **arguments)

    assert not result.success
    assert result.observed.startswith("can't be checked: column 's' holds text, ")
    assert said in result.observed
    assert "data.query" in result.observed


def test_what_can_t_be_checked_fails_in_the_library_s_words():
    """A check that Great Expectations can't run is a failure with its reason, not a traceback."""
    of_truths = table(b=[True, None])
    result = one(of_truths, "expect_column_values_to_be_between", column="b", min_value="2024-01-01")

    assert not result.success
    assert result.observed.startswith("Great Expectations could not check it: ")


def test_arguments_refused_by_the_library_are_a_config_error():
    """A bound of a wrong type is told by its path."""
    with pytest.raises(ConfigError, match=r"validation\.expectations\[0\].*min_value: .*not a valid float"):
        one(table(a=[1]), "expect_column_values_to_be_between", column="a", min_value="abc")


def test_odd_column_names_are_no_obstacle():
    """Dots, dashes, spaces and any Unicode may stand in a name."""
    for name in ("a.b", "a-b", "a b", "größe", "列", 'q"t', "x'y"):
        assert not one(pa.table({name: [1, 1]}), "expect_column_values_to_be_unique", column=name).success


def test_row_conditions_filter_rows():
    """A row condition narrows the rows that are looked at."""
    data = table(a=[1, 99], s=["x", "y"])

    assert one(
        data, "expect_column_values_to_be_between", column="a", max_value=5, row_condition='s == "x"'
    ).success


def test_refusal_names_every_failure_bounded():
    """The error tells each failure once, counts and examples included, and the way out."""
    report = run(
        table(a=[1, 9], s=["x", "y"]),
        {"type": "expect_column_values_to_be_between", "column": "a", "max_value": 5},
        {"type": "expect_table_row_count_to_equal", "value": 3},
        {"type": "expect_column_to_exist", "column": "zz"},
        {"type": "expect_column_values_to_be_unique", "column": "a"},
    )
    error = refusal(report)

    assert isinstance(error, DataRefused)
    assert error.message.splitlines() == [
        "3 of 4 expectations failed on 2 rows:",
        "- expect_column_values_to_be_between on 'a': 1 unexpected (50.00%), such as 9",
        "- expect_table_row_count_to_equal: found 2; expected value 3",
        "- expect_column_to_exist on 'zz'",
        "Mend the data, or change validation.expectations in the pipeline's YAML.",
    ]
    assert error.attributes["report"] == report.model_dump(mode="json")


def test_refusal_of_many_failures_is_cut():
    """Beyond twenty failures only their number is told."""
    report = run(table(a=[1]), *[{"type": "expect_column_to_exist", "column": f"c{n}"} for n in range(25)])

    assert "- and 5 more" in refusal(report).message.splitlines()


def test_validation_is_quiet_and_leaves_no_file(tmp_path):
    """A run says nothing on either stream, warns of nothing, and leaves nothing in folder or home."""
    code = (
        "import pyarrow as pa; from evertrain.config import ValidationConfig as V;"
        "from evertrain.validation import validate;"
        "validate(V(expectations=[{'type': 'expect_column_values_to_be_unique', 'column': 'a'}]),"
        "pa.table({'a': [1, 1, None]}))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(tmp_path.iterdir()) == []
