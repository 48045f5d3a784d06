"""Owns which rows an expectation finds unexpected: those that Great Expectations finds on a pandas frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evertrain.config import ExpectationConfig
from evertrain.datasets.frames import fit_arguments, to_frame
from evertrain.datasets.masks.rows import ROW_CHECKS
from evertrain.datasets.masks.values import VALUE_CHECKS
from evertrain.expectations import ROW_WISE, columns_of
from evertrain.quiet import quiet

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_LOOK_AT_NULLS = ("expect_column_values_to_be_null", "expect_column_values_to_not_be_null")
_IGNORED_IF = {
    "both_values_are_missing": "all",
    "all_values_are_missing": "all",
    "either_value_is_missing": "any",
    "any_value_is_missing": "any",
    "neither": None,
    "never": None,
}


class Mask(NamedTuple):
    """What an expectation found.

    Attributes:
        unexpected: Shape (n_rows,), bool: the rows that aren't as expected.
        considered_rows: How many rows it looked at; it looks at no missing value, unless it is about those.
    """

    unexpected: np.ndarray
    considered_rows: int

    @property
    def unexpected_rows(self) -> int:
        """How many rows aren't as expected."""
        return int(self.unexpected.sum())

    def meets(self, mostly: float) -> bool:
        """Whether at least the share *mostly* of the rows is as expected."""
        if not self.considered_rows:
            return True
        return (self.considered_rows - self.unexpected_rows) / self.considered_rows >= mostly


def is_row_wise(expectation: ExpectationConfig) -> bool:
    """Whether *expectation* says of each row if it is as expected."""
    return expectation.type in ROW_WISE


def find_unexpected(expectation: ExpectationConfig, table: pa.Table) -> Mask:
    """Find the rows of *table* that *expectation*, a row-wise one, doesn't expect.

    Args:
        expectation: By Great Expectations' name and arguments.
        table: Shape (n_rows, n_columns); holds the columns that the expectation and its condition name.

    Raises:
        TypeError: The values can't be compared with what is expected, or an argument is of a wrong type.
        ValueError: An argument can't be read, or says nothing that is known.
        Exception: Whatever pandas raises of a condition that it can't evaluate.
    """
    arguments = fit_arguments(expectation.arguments, table)
    frame = to_frame(table)
    condition = arguments.get("row_condition")
    with quiet():
        rows = frame.query(condition) if condition else frame
        considered = _considered(rows, expectation.type, arguments)
        met = _check(considered, expectation.type, arguments)
    unexpected = np.zeros(len(frame), dtype=bool)
    unexpected[considered.index.to_numpy()[~np.asarray(met, dtype=bool)]] = True
    return Mask(unexpected, len(considered))


def _considered(rows: pd.DataFrame, name: str, arguments: Mapping[str, Any]) -> pd.DataFrame:
    columns = columns_of(arguments)
    if name in VALUE_CHECKS:
        return rows if name in _LOOK_AT_NULLS else rows.dropna(subset=columns)
    default = "both_values_are_missing" if "column_A" in arguments else "all_values_are_missing"
    ignored = arguments.get("ignore_row_if", default)
    if ignored not in _IGNORED_IF:
        raise ValueError(f"ignore_row_if is {ignored!r}; expected one of {', '.join(_IGNORED_IF)}")
    how = _IGNORED_IF[ignored]
    return rows if how is None else rows.dropna(how=how, subset=columns)  # type: ignore[call-overload]


def _check(rows: pd.DataFrame, name: str, arguments: Mapping[str, Any]) -> Any:
    if rows.empty:
        return np.ones(0, dtype=bool)
    if name in VALUE_CHECKS:
        return VALUE_CHECKS[name](rows[arguments["column"]], arguments)
    return ROW_CHECKS[name](rows[columns_of(arguments)], arguments)
