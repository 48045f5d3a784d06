"""Owns the checks over several columns: for each row, whether its values together are as expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from evertrain.datasets.masks.values import read_flag

if TYPE_CHECKING:
    import pandas as pd

Arguments = Mapping[str, Any]
RowCheck = Callable[["pd.DataFrame", Arguments], Any]


def _pair_is_equal(rows: pd.DataFrame, _: Arguments) -> Any:
    return rows.iloc[:, 0] == rows.iloc[:, 1]


def _first_is_greater(rows: pd.DataFrame, arguments: Arguments) -> Any:
    first, second = rows.iloc[:, 0], rows.iloc[:, 1]
    return first >= second if read_flag(arguments, "or_equal") else first > second


def _pair_is_in_set(rows: pd.DataFrame, arguments: Arguments) -> Any:
    import pandas as pd

    allowed = {(first, second) for first, second in arguments["value_pairs_set"]}
    # A row's values share one type, as they do where pandas goes through a frame row by row.
    shared: Any = pd.DataFrame(rows.to_numpy()).astype(object)
    values = shared.where(shared.notna(), None).to_numpy()
    return np.fromiter(((first, second) in allowed for first, second in values), dtype=bool, count=len(rows))


def _is_unique(rows: pd.DataFrame, _: Arguments) -> Any:
    return ~rows.duplicated(keep=False)


def _sums_up(rows: pd.DataFrame, arguments: Arguments) -> Any:
    return rows.sum(axis=1, skipna=False) == float(arguments["sum_total"])


def _is_all_equal(rows: pd.DataFrame, _: Arguments) -> Any:
    met, first = np.ones(len(rows), dtype=bool), rows.iloc[:, 0]
    for place in range(1, rows.shape[1]):
        other = rows.iloc[:, place]
        met &= ((other == first) | (other.isna() & first.isna())).to_numpy(dtype=bool)
    return met


def _differs_within(rows: pd.DataFrame, _: Arguments) -> Any:
    return rows.nunique(dropna=False, axis=1) >= rows.shape[1]


ROW_CHECKS: dict[str, RowCheck] = {
    "expect_column_pair_values_a_to_be_greater_than_b": _first_is_greater,
    "expect_column_pair_values_to_be_equal": _pair_is_equal,
    "expect_column_pair_values_to_be_in_set": _pair_is_in_set,
    "expect_compound_columns_to_be_unique": _is_unique,
    "expect_multicolumn_sum_to_equal": _sums_up,
    "expect_multicolumn_values_to_be_equal": _is_all_equal,
    "expect_select_column_values_to_be_unique_within_record": _differs_within,
}
