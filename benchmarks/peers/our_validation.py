"""The same by evertrain, as a training's validation child does it: only columns that are spoken of are read.

``python our_validation.py TABLE`` gives the verdict; with ``quarantine`` also the rows to set aside; with
``masks`` only those.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from validation_suite import SUITE

from evertrain.config import ExpectationConfig, ValidationConfig
from evertrain.datasets.masks import find_unexpected, is_row_wise
from evertrain.expectations import columns_of
from evertrain.validation import validate

if TYPE_CHECKING:
    import pyarrow as pa


def main(path: str, how: str) -> None:
    """Read, validate, mask; tell the verdict, the unexpected values, and the rows to set aside."""
    config = ValidationConfig.model_validate(
        {"expectations": [{"type": kind, **arguments} for kind, arguments in SUITE]}
    )
    named = {name for _, arguments in SUITE for name in columns_of(arguments)}
    table = pq.read_table(path, columns=sorted(named))
    said: dict[str, object] = {}
    if how != "masks":
        report = validate(config, table)
        said["success"] = report.success
        said["unexpected"] = sum(result.unexpected_rows or 0 for result in report.results)
    if how != "stop":
        said["set_aside"] = count_set_aside(config.expectations, table)
    print(json.dumps(said))


def count_set_aside(expectations: tuple[ExpectationConfig, ...], table: pa.Table) -> int:
    """Count the rows that our own masks would set aside."""
    rows: set[int] = set()
    for expectation in expectations:
        if is_row_wise(expectation):
            columns = table.select(columns_of(expectation.arguments))
            rows.update(find_unexpected(expectation, columns).unexpected.nonzero()[0].tolist())
    return len(rows)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "stop")
