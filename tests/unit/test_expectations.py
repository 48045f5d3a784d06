"""Tests of the table of expectations and its checks; run as a script, it writes the table anew."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

import pytest

from evertrain.expectations import COMMON, EXPECTATIONS, REQUIRED, expectation_faults

TABLE_FILE = Path(__file__).parents[2] / "evertrain" / "expectations_table.py"
# What GX takes of every expectation, but evertrain decides itself or has no use for.
OURS = {
    "batch_id",
    "catch_exceptions",
    "id",
    "library_metadata",
    "rendered_content",
    "result_format",
    "windows",
}
HEAD = '''"""Owns the names and arguments of Great Expectations' own expectations that work on pandas tables.

Generated from Great Expectations 1.24.1 by ``python tests/unit/test_expectations.py``; don't edit.
"""

from __future__ import annotations

# Name: required arguments, optional arguments; without those that every expectation takes.
TABLE: dict[str, tuple[str, str]] = {
'''


def generate() -> str:
    """The table's source text, from the installed Great Expectations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from great_expectations.expectations.registry import (
            get_expectation_impl,
            list_registered_expectation_implementations,
        )
    names = sorted(list_registered_expectation_implementations())
    kinds = [(name, get_expectation_impl(name)) for name in names]
    return HEAD + "".join(_entry(name, kind) for name, kind in kinds if _works_on_pandas(kind)) + "}\n"


def _works_on_pandas(kind) -> bool:
    from great_expectations.expectations.registry import _registered_metrics

    metadata = kind.schema()["properties"]["metadata"]["properties"]
    if "Pandas" in metadata.get("supported_data_sources", {}).get("const", ()):
        return True
    condition = _registered_metrics.get(f"{getattr(kind, 'map_metric', '')}.condition", {})
    return "PandasExecutionEngine" in condition.get("providers", {})


def _entry(name: str, kind) -> str:
    fields = {key: field.required for key, field in kind.__fields__.items() if key not in OURS | COMMON}
    required, optional = (
        " ".join(key for key in sorted(fields) if bool(fields[key]) is r) for r in (True, False)
    )
    line = f'    "{name}": ("{required}", "{optional}"),\n'
    if len(line) <= 111:
        return line
    parts = [f'"{part}"' for part in textwrap.wrap(optional, 95, drop_whitespace=False)]
    text = parts[0] if len(parts) == 1 else "(\n            " + "\n            ".join(parts) + "\n        )"
    return f'    "{name}": (\n        "{required}",\n        {text},\n    ),\n'


def test_table_is_what_the_installed_great_expectations_has():
    """The committed table is the one that the generator makes today."""
    assert TABLE_FILE.read_text(encoding="utf-8") == generate()


def test_a_good_expectation_has_no_fault():
    """Every argument form of the contract's sample is taken."""
    assert not expectation_faults(
        0, "expect_column_values_to_be_between", {"column": "distance", "min_value": 10, "max_value": 6000}
    )
    assert not expectation_faults(
        1,
        "expect_column_values_to_be_in_set",
        {
            "column": "origin",
            "value_set": ["EWR"],
            "mostly": 0.9,
            "row_condition": "(`a b` > 1) and c in ['x', 'y']",
        },
    )
    assert not expectation_faults(2, "expect_table_row_count_to_be_between", {"min_value": 1000})


def test_unknown_name_is_answered_with_the_nearest():
    """A misspelt expectation is met with what was probably meant."""
    (fault,) = expectation_faults(3, "expect_column_values_to_be_betwen", {})

    assert fault.path == "validation.expectations[3].type"
    assert "expect_column_values_to_be_between" in fault.expected


def test_unlike_name_is_refused_without_a_guess():
    """A name near none is refused, and none is suggested."""
    (fault,) = expectation_faults(0, "expect_zzz", {})

    assert fault.expected == "an expectation of Great Expectations that works on tables"


def test_names_that_need_sql_are_refused():
    """What pandas tables can't answer isn't in the table."""
    assert expectation_faults(0, "expect_column_values_to_match_like_pattern", {"column": "a"})


@pytest.mark.parametrize(
    ("arguments", "path", "expected"),
    [
        ({"column": "a", "min": 1, "max_value": 2}, ".min", "did you mean min_value?"),
        ({"column": "a", "qqq": 1, "max_value": 2}, ".qqq", "one of column,"),
        ({"max_value": 2}, ".column", "requires column"),
        ({"column": 3, "max_value": 2}, ".column", "a column's name"),
        ({"column": "a"}, "", "at least one of the two"),
        ({"column": "a", "min_value": 3, "max_value": 2}, ".min_value", "at most max_value"),
        ({"column": "a", "max_value": 2, "mostly": 1.5}, ".mostly", "a share from 0 to 1"),
        ({"column": "a", "max_value": 2, "mostly": True}, ".mostly", "a share from 0 to 1"),
        ({"column": "a", "max_value": 2, "condition_parser": "spark"}, ".condition_parser", "pandas"),
    ],
)
def test_each_fault_bears_its_path_and_what_is_allowed(arguments, path, expected):
    """A wrong argument is told by its path and by what stands there instead."""
    (fault,) = expectation_faults(0, "expect_column_values_to_be_between", arguments)

    assert f"validation.expectations[0]{path}" == fault.path
    assert expected in fault.expected


@pytest.mark.parametrize(
    "condition",
    [
        "@__import__('os').system('true')",
        "a.to_csv('f')",
        "len(a) > 1",
        "a.b > 1",
        "a >",
        5,
        "[x for x in a]",
    ],
)
def test_row_conditions_that_could_run_code_are_refused(condition):
    """A row condition compares columns, and does nothing else."""
    arguments = {"column": "a", "max_value": 2, "row_condition": condition}

    (fault,) = expectation_faults(0, "expect_column_values_to_be_between", arguments)

    assert fault.path == "validation.expectations[0].row_condition"


def test_all_faults_come_in_one_go():
    """Several wrong arguments are several faults."""
    faults = expectation_faults(
        0, "expect_column_values_to_match_regex", {"regex": "(", "mostly": 2, "value_set": "a" * 200}
    )

    assert {fault.path.rpartition(".")[2] for fault in faults} == {"column", "regex", "mostly", "value_set"}


def test_lists_are_asked_for_where_they_belong():
    """A set that isn't a list is a fault, and is shown cut."""
    (fault,) = expectation_faults(
        0, "expect_column_values_to_be_in_set", {"column": "a", "value_set": "b" * 200}
    )

    assert (fault.expected, len(fault.found)) == ("a list", 80)


def test_required_arguments_are_known_arguments():
    """What is required is allowed, for every expectation."""
    assert all(REQUIRED[name] <= EXPECTATIONS[name] for name in EXPECTATIONS)


if __name__ == "__main__":
    TABLE_FILE.write_text(generate(), encoding="utf-8")
