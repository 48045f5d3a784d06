"""Owns what the YAML may say of Great Expectations' expectations; knows their names, not the library."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from evertrain.expectations_table import TABLE

# Taken of every expectation; none changes a verdict.
COMMON = frozenset({"description", "meta", "notes", "severity"})
EXPECTATIONS: dict[str, frozenset[str]] = {
    name: COMMON.union(required.split(), optional.split()) for name, (required, optional) in TABLE.items()
}
REQUIRED: dict[str, frozenset[str]] = {
    name: frozenset(required.split()) for name, (required, _) in TABLE.items()
}

COLUMN_KEYS = ("column", "column_A", "column_B", "column_list", "column_set")
# Those that say of each row whether it is as expected, so that the others can be set aside.
ROW_WISE = frozenset(
    {
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_value_z_scores_to_be_less_than",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_be_null",
        "expect_column_values_to_be_unique",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_be_outliers",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_compound_columns_to_be_unique",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)
# Row-wise too, but nobody can say which rows to set aside: they hang on the rows' order, or can't be read.
_WITHOUT_MASK = {
    "expect_column_values_to_be_decreasing": "it depends on the rows' order",
    "expect_column_values_to_be_increasing": "it depends on the rows' order",
    "expect_column_values_to_match_json_schema": "a value that is no JSON has no verdict",
}

_BOUNDS = ("min_value", "max_value")
_BOUND_NEEDED = frozenset({"expect_column_value_lengths_to_be_between", "expect_column_values_to_be_between"})
_COLUMNS = ("column", "column_A", "column_B")
_LISTS = ("column_list", "column_set", "regex_list", "type_list", "value_pairs_set", "value_set")
_CONDITION_NODES = (
    *(ast.Expression, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple),
    *(ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare),
    *(ast.boolop, ast.unaryop, ast.operator, ast.cmpop),
)


class ExpectationFault(NamedTuple):
    """One thing that is wrong with an expectation: where, what was found, what is allowed."""

    path: str
    found: str
    expected: str


def expectation_faults(index: int, name: str, arguments: Mapping[str, Any]) -> list[ExpectationFault]:
    """Check one of the YAML's expectations without Great Expectations.

    Args:
        index: Its place under ``validation.expectations``, from 0.
        name: Its ``type``.
        arguments: All its other keys.

    Returns:
        Every fault; none where Great Expectations will take it on a pandas table.
    """
    path = f"validation.expectations[{index}]"
    if name not in EXPECTATIONS:
        return [
            ExpectationFault(f"{path}.type", repr(name), f"an expectation of Great Expectations{_near(name)}")
        ]
    faults = [
        _unknown(f"{path}.{key}", key, EXPECTATIONS[name])
        for key in arguments
        if key not in EXPECTATIONS[name]
    ]
    faults += [
        ExpectationFault(f"{path}.{key}", "nothing", f"a value: {name} requires {key}")
        for key in sorted(REQUIRED[name] - set(arguments))
    ]
    for key, value in arguments.items():
        expected = _expected(key, value) if key in EXPECTATIONS[name] else None
        if expected:
            faults.append(ExpectationFault(f"{path}.{key}", _shown(value), expected))
    return faults + _bound_faults(path, name, arguments)


def quarantine_faults(index: int, name: str) -> list[ExpectationFault]:
    """Find out whether an expectation can't say which rows a quarantine should take.

    Args:
        index: Its place under ``validation.expectations``, from 0.
        name: Its ``type``.
    """
    if name not in _WITHOUT_MASK:
        return []
    expected = f"another expectation, or on_failure: stop; under quarantine {_WITHOUT_MASK[name]}"
    return [ExpectationFault(f"validation.expectations[{index}].type", repr(name), expected)]


def columns_of(arguments: Mapping[str, Any]) -> list[str]:
    """Name the columns that an expectation's *arguments* name, in their order."""
    given = [arguments[key] for key in COLUMN_KEYS if key in arguments]
    return [name for value in given for name in (value if isinstance(value, list | tuple) else [value])]


def _near(name: str) -> str:
    names = difflib.get_close_matches(name, EXPECTATIONS, n=3, cutoff=0.5)
    return f" that works on tables, such as {' or '.join(names)}" if names else " that works on tables"


def _unknown(path: str, key: str, allowed: frozenset[str]) -> ExpectationFault:
    nearest = difflib.get_close_matches(key, sorted(allowed), n=1, cutoff=0.5)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return ExpectationFault(path, f"unknown argument {key!r}", f"one of {', '.join(sorted(allowed))}{hint}")


def _expected(key: str, value: Any) -> str | None:
    if key in _COLUMNS:
        return None if isinstance(value, str) and value else "a column's name"
    if key in _LISTS:
        return None if value is None or isinstance(value, list | tuple) else "a list"
    check = _CHECKS.get(key)
    return None if check is None or value is None else check(value)


def _mostly(value: Any) -> str | None:
    return None if _is_number(value) and 0 <= value <= 1 else "a share from 0 to 1"


def _regex(value: Any) -> str | None:
    try:
        re.compile(value)
    except (re.error, TypeError) as fault:
        return f"a regular expression ({fault})"
    return None


def _row_condition(value: Any) -> str | None:
    # pandas would evaluate calls and attributes, and with them any Python; a filter needs comparisons only.
    expected = "a comparison of columns that pandas' query reads, without calls, attributes and '@'"
    try:
        tree = ast.parse(re.sub(r"`[^`\n]*`", "_column", value), mode="eval")
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return expected
    return None if all(isinstance(node, _CONDITION_NODES) for node in ast.walk(tree)) else expected


def _condition_parser(value: Any) -> str | None:
    return None if value == "pandas" else "pandas"


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "mostly": _mostly,
    "regex": _regex,
    "row_condition": _row_condition,
    "condition_parser": _condition_parser,
}


def _bound_faults(path: str, name: str, arguments: Mapping[str, Any]) -> list[ExpectationFault]:
    if not EXPECTATIONS[name].issuperset(_BOUNDS):
        return []
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None and high is None and name in _BOUND_NEEDED:
        return [ExpectationFault(path, "neither min_value nor max_value", "at least one of the two")]
    numbers: list[Any] = [value for value in (low, high) if _is_number(value)]
    if len(numbers) == len(_BOUNDS) and numbers[0] > numbers[1]:
        return [ExpectationFault(f"{path}.min_value", _shown(low), f"at most max_value, which is {high}")]
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
