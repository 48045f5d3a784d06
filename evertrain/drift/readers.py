"""Owns what drift is measured on: rows that are read column by column, so that they needn't fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from evertrain.columns import MISSING, encode_inputs
from evertrain.drift_records import DriftColumn
from evertrain.errors import InvalidInput
from evertrain.records import Feature

if TYPE_CHECKING:
    import pyarrow as pa


class ValueReader(Protocol):
    """Columns of rows that are in time order; every call may read them anew."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Their columns."""
        ...

    def column(self, name: str) -> np.ndarray:
        """One column's raw values, shape (rows,), a missing one as NaN, NaT or None."""
        ...

    def count_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct raw values, a missing one among them, and in how many rows each stands."""
        ...

    def code_values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One column's distinct raw values, and which of them each row has, shape (rows,), in their order."""
        ...


class ColumnReader(ValueReader, Protocol):
    """Rows of a table."""

    def sample(self, rows: int, seed: int) -> pa.Table:
        """At most so many rows in their order, drawn without replacement; the same for the same *seed*."""
        ...


class Known(NamedTuple):
    """The values that a column has: finite numbers, shape (n,), or how often each category stands there."""

    rows: int
    numbers: np.ndarray
    counts: dict[str, int]

    @property
    def known(self) -> int:
        """How many rows have a value."""
        return sum(self.counts.values()) if self.counts else len(self.numbers)

    @property
    def missing_share(self) -> float:
        """The share of rows without a value."""
        return 1 - self.known / self.rows if self.rows else 0.0

    @property
    def is_empty(self) -> bool:
        """Whether there is no value at all."""
        return not self.counts and not len(self.numbers)


def read_known(column: DriftColumn, reader: ValueReader) -> Known:
    """Read the values of *column* as drift compares them.

    Raises:
        InvalidInput: It isn't there, or holds something else than when the model was trained.
    """
    name = column.feature or column.name
    if name not in reader.names:
        raise InvalidInput("it isn't among the columns", field=name)
    if column.kind == "categorical":
        return Known(reader.rows, np.array([]), _count_texts(column, *reader.count_values(name)))
    numbers = to_numbers(column, reader.column(name))
    finite = np.isfinite(numbers)
    return Known(reader.rows, numbers if finite.all() else numbers[finite], {})


def read_codes(column: DriftColumn, reader: ValueReader) -> np.ndarray:
    """Read a categorical column's known values in the order of the rows, each as a number for its category.

    Raises:
        InvalidInput: It holds no categories.
    """
    values, places = reader.code_values(column.name)
    numbers: dict[str, int] = {}
    texts = to_texts(column, values)
    codes = np.array(
        [-1 if text is None else numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64
    )
    found = codes[places] if len(codes) else np.array([], dtype=np.int64)
    known: np.ndarray = found[found >= 0]
    return known


def to_numbers(column: DriftColumn, values: np.ndarray) -> np.ndarray:
    """Turn a numeric column, or the part of a datetime one, into float64 with NaN for what is missing.

    Raises:
        InvalidInput: It holds no numbers, or no times.
    """
    if column.part is not None:
        feature = _feature(column)
        return encode_inputs([feature], {feature.name: values})[f"in_000_{column.part}"].astype(np.float64)
    try:
        if values.dtype.kind in "biuf" or not any(isinstance(value, str) for value in values):
            return values.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as cause:
        raise InvalidInput("it doesn't hold numbers", field=column.name) from cause
    raise InvalidInput("it holds text where numbers were learnt from", field=column.name)


def to_texts(column: DriftColumn, values: np.ndarray) -> np.ndarray:
    """Spell categories as the model sees them; None for what is missing.

    Raises:
        InvalidInput: They are no categories.
    """
    feature = _feature(column)
    texts = encode_inputs([feature], {feature.name: values})["in_000"].astype(object)
    texts[texts == MISSING] = None
    return texts


def _count_texts(column: DriftColumn, values: np.ndarray, counts: np.ndarray) -> dict[str, int]:
    found: dict[str, int] = {}
    for text, count in zip(to_texts(column, values), counts.tolist(), strict=True):
        if text is not None:
            found[text] = found.get(text, 0) + count
    return found


def _feature(column: DriftColumn) -> Feature:
    return Feature(name=column.feature or column.name, kind=column.kind, type=column.type)
