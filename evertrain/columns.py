"""Owns the column layer: raw values to model inputs, the same code in training and serving; numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import numpy as np

from evertrain.errors import InvalidInput
from evertrain.records import Feature, Label
from evertrain.spelling import MISSING, is_missing, spell_categories, spell_category

__all__ = [
    "MISSING",
    "Coded",
    "InputSpec",
    "Values",
    "encode_inputs",
    "encode_target",
    "input_names",
    "is_missing",
    "numeric_offset",
    "spell_category",
]

Values = Sequence[Any] | np.ndarray

DATETIME_PARTS = ("year", "month", "dayofweek", "hour")
EXACT_INTEGER = 2**24
MEAN_TO_SPREAD = 1000.0
LARGEST = float(np.finfo(np.float32).max)
FEW = 16
_NUMBERS = frozenset({int, float, type(None)})
_NUMBERS_AND_BOOLEANS = _NUMBERS | {bool}
_EPOCH_WEEKDAY = 3


class Coded(Sequence[Any]):
    """Values of which many are alike: ``places[row]`` says which of ``distinct`` a row has."""

    def __init__(self, distinct: Sequence[Any], places: np.ndarray) -> None:
        self.distinct = distinct
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: Any) -> Any:
        return self.distinct[self.places[row]]


class InputSpec(NamedTuple):
    """One input of a model: its name and whether it holds float32 numbers or text."""

    name: str
    kind: Literal["float", "string"]


def input_names(features: Sequence[Feature]) -> tuple[InputSpec, ...]:
    """The model inputs that ``encode_inputs`` makes of *features*, in its order."""
    return tuple(spec for index, feature in enumerate(features) for spec in _specs(index, feature))


def encode_inputs(features: Sequence[Feature], columns: Mapping[str, Values]) -> dict[str, np.ndarray]:
    """Turn raw columns into model inputs.

    Args:
        features: What the model was trained on, in its order.
        columns: By column name, n values each: an array, or a list of JSON values. Others are not looked at.

    Returns:
        By input name, each of shape (n,). Numeric feature i: ``in_<i>``, float32, missing is NaN.
        Categorical: ``in_<i>``, object array of str. Datetime: ``in_<i>_year``, ``_month``, ``_dayofweek``
        (Monday is 0) and ``_hour``, float32, in UTC.

    Raises:
        InvalidInput: A column is missing, ragged or ill-typed; ``field`` names it.
    """
    inputs: dict[str, np.ndarray] = {}
    rows: int | None = None
    for index, feature in enumerate(features):
        values = columns.get(feature.name)
        if values is None:
            raise InvalidInput(
                f"Column {feature.name!r} is missing; expected it in every row.", field=feature.name
            )
        rows = len(values) if rows is None else rows
        _check_shape(feature, values, rows)
        _ENCODERS[feature.kind](f"in_{index:03d}", feature, values, inputs)
    return inputs


def encode_target(values: Values, classes: Sequence[Label]) -> np.ndarray:
    """Turn labels into the places of their classes.

    Args:
        values: Labels, shape (n,), in any type: they are compared by their spelling.
        classes: The classes in the order of the model's probabilities.

    Returns:
        int64, shape (n,); -1 for a label that is missing or of a class never seen.
    """
    places = {spell_category(label): place for place, label in enumerate(classes)}
    return np.array([places.get(text, -1) for text in spell_categories(values)], dtype=np.int64)


def numeric_offset(
    *, whole: bool, largest: float, mean: float, spread: float, middle: Callable[[], float]
) -> float:
    """What to take off numbers before they become float32, so that their differences survive.

    Args:
        whole: All of the numbers are.
        largest: Their largest absolute value.
        mean: Their mean.
        spread: Their standard deviation.
        middle: Finds their median; asked only where it is needed.

    Returns:
        The median (rounded down where all are whole) for integers beyond 2^24 and for numbers whose mean is
        over 1000 times their spread; otherwise 0.
    """
    if not (whole and largest > EXACT_INTEGER) and not abs(mean) > MEAN_TO_SPREAD * spread:
        return 0.0
    return float(np.floor(middle())) if whole else middle()


def parse_instant(value: object) -> datetime | None:
    """Read an ISO 8601 time (or date) as naive UTC; without a zone it is UTC; None if it is missing.

    Raises:
        ValueError: *value* is no time.
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError("not a time")
    if value.tzinfo not in (None, UTC):
        value = value.astimezone(UTC)
    return value.replace(tzinfo=None)


def _specs(index: int, feature: Feature) -> list[InputSpec]:
    name = f"in_{index:03d}"
    if feature.kind == "datetime":
        return [InputSpec(f"{name}_{part}", "float") for part in DATETIME_PARTS]
    return [InputSpec(name, "string" if feature.kind == "categorical" else "float")]


def _check_shape(feature: Feature, values: Values, rows: int) -> None:
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise InvalidInput(
            f"Column {feature.name!r} has {values.ndim} dimensions; expected 1.", field=feature.name
        )
    if len(values) != rows:
        raise InvalidInput(
            f"Column {feature.name!r} has {len(values)} values where others have {rows}; expected one a row.",
            field=feature.name,
        )


def _encode_numeric(name: str, feature: Feature, values: Values, inputs: dict[str, np.ndarray]) -> None:
    if len(values) <= FEW and (few := _encode_few(feature, values)) is not None:
        inputs[name] = few
        return
    numbers = _as_numbers(feature, values)
    small = np.abs(numbers) <= LARGEST
    if not small.all() and not (small | np.isnan(numbers)).all():
        raise _refusal(feature, values, _is_small, "a finite number that fits 32 bits")
    if feature.type == "boolean" and not ((numbers == 0) | (numbers == 1) | np.isnan(numbers)).all():
        raise _refusal(feature, values, _is_boolean, "true or false")
    inputs[name] = (numbers - feature.offset).astype(np.float32)


def _encode_few(feature: Feature, values: Values) -> np.ndarray | None:
    """Encode some plain numbers without numpy, which is slow to begin; None where any value is no such."""
    offset = feature.offset
    encoded = []
    for value in values:
        kind = type(value)
        if kind is float or kind is int:
            if not -LARGEST <= value <= LARGEST:
                return None
            encoded.append(value - offset)
        elif value is None:
            encoded.append(np.nan)
        else:
            return None
    if feature.type == "boolean" and not all(value is None or value in (0, 1) for value in values):
        return None
    return np.array(encoded, dtype=np.float32)


def _as_numbers(feature: Feature, values: Values) -> np.ndarray:
    boolean = feature.type == "boolean"
    if isinstance(values, np.ndarray):
        if values.dtype.kind in ("biuf" if boolean else "iuf"):
            return values.astype(np.float64)
        values = list(values)
    allowed = _NUMBERS_AND_BOOLEANS if boolean else _NUMBERS
    if not allowed.issuperset(map(type, values)):
        values = [_plain_number(value) for value in values]
        if not allowed.issuperset(map(type, values)):
            expected = "true or false" if boolean else "a number"
            raise _refusal(feature, values, lambda value: type(value) in allowed, expected)
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as cause:
        raise _refusal(feature, values, _is_small, "a finite number that fits 32 bits") from cause


def _plain_number(value: Any) -> Any:
    if isinstance(value, list | dict):
        return value
    if is_missing(value):
        return None
    if isinstance(value, Decimal):
        return float(value)
    return value.item() if isinstance(value, np.bool_ | np.number) else value


def _encode_categorical(name: str, feature: Feature, values: Values, inputs: dict[str, np.ndarray]) -> None:
    if feature.type in ("date", "timestamp"):
        inputs[name] = _spell_instants(feature, values)
        return
    try:
        texts = spell_categories(values.distinct if isinstance(values, Coded) else values)
        # What isn't UTF-8 (a lone surrogate) would fail in the model's runtime, too late to name the column.
        "".join(texts).encode()
    except ValueError as cause:
        raise _refusal(feature, values, _is_category, "text, a number or a boolean") from cause
    inputs[name] = texts[values.places] if isinstance(values, Coded) else texts


def _spell_instants(feature: Feature, values: Values) -> np.ndarray:
    instants = _as_instants(feature, values)
    texts = np.datetime_as_string(instants, unit="D" if feature.type == "date" else "us").astype(object)
    texts[np.isnat(instants)] = MISSING
    return texts


def _encode_datetime(name: str, feature: Feature, values: Values, inputs: dict[str, np.ndarray]) -> None:
    instants = _as_instants(feature, values)
    days = instants.astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype(np.int64)
    parts = (
        months // 12 + 1970,
        months % 12 + 1,
        (days.astype(np.int64) + _EPOCH_WEEKDAY) % 7,
        instants.astype("datetime64[h]").astype(np.int64) % 24,
    )
    absent = np.isnat(instants)
    for part, numbers in zip(DATETIME_PARTS, parts, strict=True):
        encoded = numbers.astype(np.float32)
        encoded[absent] = np.nan
        inputs[f"{name}_{part}"] = encoded


def _as_instants(feature: Feature, values: Values) -> np.ndarray:
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    try:
        return np.array([parse_instant(value) for value in values], dtype="datetime64[us]")
    except (ValueError, OverflowError) as cause:
        raise _refusal(
            feature, values, _is_instant, "an ISO 8601 time such as 2013-01-31T05:00:00Z"
        ) from cause


def _is_small(value: Any) -> bool:
    return is_missing(value) or abs(value) <= LARGEST


def _is_boolean(value: Any) -> bool:
    return is_missing(value) or value in (0, 1)


def _is_category(value: Any) -> bool:
    try:
        spell_category(value).encode()
    except ValueError:
        return False
    return True


def _is_instant(value: Any) -> bool:
    try:
        parse_instant(value)
    except (ValueError, OverflowError):
        return False
    return True


def _refusal(feature: Feature, values: Values, fits: Callable[[Any], bool], expected: str) -> InvalidInput:
    row = next((row for row, value in enumerate(values) if not fits(value)), 0)
    return InvalidInput(
        f"Column {feature.name!r}, row {row}: expected {expected}, found {_show(values[row])}.",
        field=feature.name,
        row=row,
    )


def _show(value: object) -> str:
    if isinstance(value, list | dict):
        return "a nested value"
    text = ascii(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:59]}…"


_ENCODERS: Mapping[str, Callable[[str, Feature, Values, dict[str, np.ndarray]], None]] = {
    "numeric": _encode_numeric,
    "categorical": _encode_categorical,
    "datetime": _encode_datetime,
}
