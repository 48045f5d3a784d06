"""The 20 expectations of the validation benchmark, and the table of 20 columns that they are held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NUMBERS = [f"number_{place}" for place in range(10)]
COUNTS = [f"count_{place}" for place in range(5)]
WORDS = [f"word_{place}" for place in range(5)]
LEVELS = [f"level {place}" for place in range(12)]
# One row in a hundred thousand, and one at least, lies outside: a failure, with few rows to set aside.
OUTSIDE_SHARE = 1e-5

Arguments = dict[str, Any]
SUITE: list[tuple[str, Arguments]] = [
    *(
        ("expect_column_values_to_be_between", {"column": name, "min_value": -50, "max_value": 50})
        for name in NUMBERS[:6]
    ),
    *(("expect_column_values_to_not_be_null", {"column": name}) for name in NUMBERS[6:8]),
    ("expect_column_mean_to_be_between", {"column": NUMBERS[8], "min_value": -1, "max_value": 1}),
    ("expect_column_stdev_to_be_between", {"column": NUMBERS[9], "min_value": 0.5, "max_value": 2}),
    *(
        ("expect_column_values_to_be_between", {"column": name, "min_value": 0, "max_value": 999})
        for name in COUNTS[:3]
    ),
    ("expect_column_values_to_be_unique", {"column": COUNTS[3]}),
    ("expect_column_max_to_be_between", {"column": COUNTS[4], "min_value": 1, "max_value": 999}),
    *(("expect_column_values_to_be_in_set", {"column": name, "value_set": LEVELS}) for name in WORDS[:3]),
    ("expect_column_value_lengths_to_be_between", {"column": WORDS[3], "min_value": 7, "max_value": 8}),
    ("expect_table_row_count_to_be_between", {"min_value": 1}),
]


def write_table(path: Path, rows: int) -> None:
    """Write *rows* rows to a Parquet file; the same at every call."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(0)
    outside = random.random(rows) < OUTSIDE_SHARE
    outside[0] = True
    columns: dict[str, Any] = {name: random.normal(0, 1, rows) for name in NUMBERS}
    columns[NUMBERS[0]][outside] = 1000.0
    columns |= {name: random.integers(0, 1000, rows) for name in COUNTS}
    columns[COUNTS[3]] = random.permutation(rows)
    levels = np.array(LEVELS)
    columns |= {name: levels[random.integers(0, len(LEVELS), rows)] for name in WORDS}
    parquet.write_table(pa.table(columns), path)
