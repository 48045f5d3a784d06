"""Owns the checks of one column's values: for each value, whether it is as an expectation wants it."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Arguments = Mapping[str, Any]
ValueCheck = Callable[["pd.Series[Any]", Arguments], Any]


def read_flag(arguments: Arguments, name: str) -> bool:
    """Read a switch, which is off where nothing is said.

    Raises:
        TypeError: It is neither true nor false.
    """
    value = arguments.get(name)
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; expected true or false")
    return bool(value)


def _is_between(column: pd.Series[Any], arguments: Arguments) -> Any:
    low, high = _bound(arguments.get("min_value")), _bound(arguments.get("max_value"))
    if low is not None and high is not None and low > high:
        raise ValueError(f"min_value {low} is greater than max_value {high}")
    # Values of other types are compared one by one as Python's: float32 as float64, say.
    plain = column.dtype in (int, float) or column.dtype.kind == "M"
    return _lies_between(column if plain else column.astype(object), low, high, arguments)


def _has_length_between(column: pd.Series[Any], arguments: Arguments) -> Any:
    low, high = (
        None if (end := arguments.get(key)) is None else int(end) for key in ("min_value", "max_value")
    )
    return _lies_between(_lengths(column), low, high, arguments)


def _has_length(column: pd.Series[Any], arguments: Arguments) -> Any:
    return _lengths(column) == float(arguments["value"])


def _is_in_set(column: pd.Series[Any], arguments: Arguments) -> Any:
    return column.isin(arguments["value_set"])


def _is_not_in_set(column: pd.Series[Any], arguments: Arguments) -> Any:
    values = arguments["value_set"]
    if column.dtype.kind == "M":
        values = [_parse_time(value) if isinstance(value, str) else value for value in values]
    return ~column.isin(values)


def _is_null(column: pd.Series[Any], _: Arguments) -> Any:
    return column.isna()


def _is_not_null(column: pd.Series[Any], _: Arguments) -> Any:
    return column.notna()


def _is_unique(column: pd.Series[Any], _: Arguments) -> Any:
    return ~column.duplicated(keep=False)


def _matches(column: pd.Series[Any], arguments: Arguments) -> Any:
    return _found(column, arguments["regex"])


def _matches_not(column: pd.Series[Any], arguments: Arguments) -> Any:
    return ~_found(column, arguments["regex"])


def _matches_list(column: pd.Series[Any], arguments: Arguments) -> Any:
    combine = {"any": np.logical_or, "all": np.logical_and}[arguments.get("match_on", "any")]
    return combine.reduce([_found(column, regex) for regex in arguments["regex_list"]])


def _matches_none(column: pd.Series[Any], arguments: Arguments) -> Any:
    return ~np.logical_or.reduce([_found(column, regex) for regex in arguments["regex_list"]])


def _has_time_format(column: pd.Series[Any], arguments: Arguments) -> Any:
    return _each(column, lambda value: _reads(lambda: datetime.strptime(value, arguments["strftime_format"])))


def _is_time(column: pd.Series[Any], _: Arguments) -> Any:
    return _each(column, lambda value: _reads(lambda: _parse_time(value)))


def _is_json(column: pd.Series[Any], _: Arguments) -> Any:
    return _each(
        column, lambda value: _reads(lambda: json.loads(value), (TypeError, ValueError, RecursionError))
    )


def _has_z_score_below(column: pd.Series[Any], arguments: Arguments) -> Any:
    limit, spread = float(arguments["threshold"]), column.std()
    if spread == 0:
        return np.ones(len(column), dtype=bool)
    scores = (column - column.mean()) / spread
    below = scores.abs() < abs(limit) if read_flag(arguments, "double_sided") else scores < limit
    return below | scores.isna()


def _is_no_outlier(column: pd.Series[Any], arguments: Arguments) -> Any:
    method, multiplier = arguments.get("method", "iqr"), float(arguments.get("multiplier", 1.5))
    if method not in ("iqr", "std"):
        raise ValueError(f"method is {method!r}; expected iqr or std")
    middle = (0.25, 0.75) if method == "iqr" else None
    ends = [column.quantile(share) for share in middle] if middle else [column.mean()] * 2
    low, high = (float(end) for end in ends)
    spread = high - low if middle else float(column.std())
    if not all(map(math.isfinite, (low, high, spread))):
        return np.ones(len(column), dtype=bool)
    reach = multiplier * spread
    if middle:
        return (column >= low - reach) & (column <= high + reach)
    return column == low if reach <= 0 else (column - low).abs() < reach


VALUE_CHECKS: dict[str, ValueCheck] = {
    "expect_column_value_lengths_to_be_between": _has_length_between,
    "expect_column_value_lengths_to_equal": _has_length,
    "expect_column_value_z_scores_to_be_less_than": _has_z_score_below,
    "expect_column_values_to_be_between": _is_between,
    "expect_column_values_to_be_dateutil_parseable": _is_time,
    "expect_column_values_to_be_in_set": _is_in_set,
    "expect_column_values_to_be_json_parseable": _is_json,
    "expect_column_values_to_be_null": _is_null,
    "expect_column_values_to_be_unique": _is_unique,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_values_to_match_regex_list": _matches_list,
    "expect_column_values_to_match_strftime_format": _has_time_format,
    "expect_column_values_to_not_be_in_set": _is_not_in_set,
    "expect_column_values_to_not_be_null": _is_not_null,
    "expect_column_values_to_not_be_outliers": _is_no_outlier,
    "expect_column_values_to_not_match_regex": _matches_not,
    "expect_column_values_to_not_match_regex_list": _matches_none,
}


def _bound(value: Any) -> Any:
    return value if value is None or isinstance(value, date) else float(value)


def _lies_between(values: Any, low: Any, high: Any, arguments: Arguments) -> Any:
    met = np.ones(len(values), dtype=bool)
    if low is not None:
        met &= np.asarray(values > low if read_flag(arguments, "strict_min") else values >= low, dtype=bool)
    if high is not None:
        met &= np.asarray(values < high if read_flag(arguments, "strict_max") else values <= high, dtype=bool)
    return met


def _lengths(column: pd.Series[Any]) -> Any:
    return column.astype(str).str.len()


def _found(column: pd.Series[Any], regex: str) -> np.ndarray:
    pattern = re.compile(regex)
    return _each(column.astype(str), lambda text: pattern.search(text) is not None)


def _each(column: pd.Series[Any], check: Callable[[Any], bool]) -> np.ndarray:
    """Check each distinct value once."""
    verdict = functools.cache(check)
    return np.fromiter((verdict(value) for value in column), dtype=bool, count=len(column))


def _reads(
    read: Callable[[], object], wrong: tuple[type[Exception], ...] = (ValueError, OverflowError)
) -> bool:
    try:
        read()
    except wrong:
        return False
    return True


def _parse_time(value: Any) -> datetime:
    from dateutil.parser import parse  # type: ignore[import-untyped]

    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text; times are read from text only")
    moment: datetime = parse(value)
    return moment
