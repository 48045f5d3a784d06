"""Owns how to say that an expectation asks of a column of text what only numbers or times can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evertrain.expectations import columns_of

if TYPE_CHECKING:
    import pyarrow as pa

    from evertrain.config import ExpectationConfig

# What each of these does with a column's values; of text it can be done with none.
_NEEDS_ORDER = {
    "expect_column_max_to_be_between",
    "expect_column_min_to_be_between",
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_column_values_to_be_between",
}
_NEEDS_NUMBERS = {
    "expect_column_kl_divergence_to_be_less_than",
    "expect_column_mean_to_be_between",
    "expect_column_median_to_be_between",
    "expect_column_quantile_values_to_be_between",
    "expect_column_stdev_to_be_between",
    "expect_column_sum_to_be_between",
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_not_be_outliers",
    "expect_multicolumn_sum_to_equal",
}


def spell_mismatch(expectation: ExpectationConfig, table: pa.Table) -> str | None:
    """Say why *expectation*, which could not be checked, can't be: for the text in its columns.

    Args:
        expectation: What was tried, and raised.
        table: Holds the columns that it names.

    Returns:
        A clause that names the column; None where text is not the reason.
    """
    texts = [name for name in columns_of(expectation.arguments) if is_text(table, name)]
    if not texts:
        return None
    if expectation.type in _NEEDS_ORDER:
        return f"column {texts[0]!r} holds text, which can't be compared with numbers or times"
    if expectation.type in _NEEDS_NUMBERS:
        return f"column {texts[0]!r} holds text, and this needs numbers"
    return None


def is_text(table: pa.Table, name: str) -> bool:
    """Whether *name* is a column of strings."""
    import pyarrow as pa

    if name not in table.column_names:
        return False
    kind = table.schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
