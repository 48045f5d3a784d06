"""Owns the verdict on a snapshot: on its rows and those set aside, held against our own masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evertrain.config import ValidationConfig
from evertrain.datasets import Ingested, read_quarantine, read_snapshot
from evertrain.datasets.quarantine import named_columns
from evertrain.errors import DataRefused
from evertrain.records import ExpectationResult, Masked, ValidationReport
from evertrain.storage import Store
from evertrain.validation import validate

if TYPE_CHECKING:
    import pyarrow as pa

# What these say, they say of all columns and their order.
_LOOK_AT_COLUMNS = ("expect_table_column", "expect_column_to_exist")


def validate_snapshot(config: ValidationConfig, ingested: Ingested, store: Store) -> ValidationReport:
    """Have Great Expectations judge all rows: those of the snapshot, and those that were set aside.

    Only columns that an expectation speaks of are read.

    Args:
        config: The expectations.
        ingested: The snapshot, and what our own masks found.
        store: Holds the rows.

    Returns:
        One result per expectation; those whose unexpected rows were set aside say how many.

    Raises:
        ConfigError: Great Expectations refuses an argument.
        DataRefused: Great Expectations counts other rows than those that were set aside.
        StorageError: The rows can't be read.
    """
    snapshot = ingested.snapshot
    if not config.expectations:
        return ValidationReport(success=True, rows=snapshot.rows)
    names = [column.name for column in snapshot.columns]
    report = validate(config, _read(ingested, store, _spoken_of(config, names)), names)
    results = list(report.results)
    for mask in ingested.masks:
        results[mask.index] = _settle(results[mask.index], mask)
    return ValidationReport(
        success=not any(result.stops for result in results),
        rows=report.rows,
        results=tuple(results),
        quarantined=snapshot.quarantined,
    )


def _read(ingested: Ingested, store: Store, names: list[str]) -> pa.Table:
    import pyarrow as pa

    clean = read_snapshot(store, ingested.snapshot, names)
    if not ingested.snapshot.quarantined:
        return clean
    apart = read_quarantine(store, ingested.snapshot).select(names)
    return pa.concat_tables([clean, apart])


def _spoken_of(config: ValidationConfig, names: Sequence[str]) -> list[str]:
    if any(expectation.type.startswith(_LOOK_AT_COLUMNS) for expectation in config.expectations):
        return list(names)
    named = {name for expectation in config.expectations for name in named_columns(expectation, names)}
    # One at least, for the rows to be counted.
    return [name for name in names if name in named] or list(names[:1])


def _settle(result: ExpectationResult, mask: Masked) -> ExpectationResult:
    if result.unexpected_rows is None:
        return result
    if (result.unexpected_rows, result.success) != (mask.unexpected_rows, mask.met):
        raise DataRefused(
            f"validation.expectations[{mask.index}]: {result.type} on {result.column!r}: Great Expectations "
            f"found {result.unexpected_rows:,} unexpected rows, the quarantine {mask.unexpected_rows:,}. "
            "No row may be set aside on such terms: set validation.on_failure: stop, or take the "
            "expectation away, and report this as a fault of evertrain.",
            index=mask.index,
        )
    return result if mask.met else result.model_copy(update={"quarantined_rows": mask.unexpected_rows})
