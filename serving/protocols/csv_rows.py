"""Owns reading rows from CSV: names in the first line, a field's meaning by what the feature is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

from evertrain.errors import InvalidInput
from evertrain.records import Feature, Signature
from serving.problems import NOT_CSV, TOO_LARGE, Refusal
from serving.protocols import Columns
from serving.strict_json import show

MISSING_NUMBERS = frozenset({"", "NA", "NaN", "nan", "null"})
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_INTEGER = re.compile(r"[+-]?\d{1,300}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read_csv(body: bytes, signature: Signature, max_rows: int) -> Columns:
    """Read the rows of a CSV body.

    An empty field is missing; in numbers so are ``NA``, ``NaN`` and ``null``, as in files to train on.

    Raises:
        Refusal: It isn't CSV in UTF-8, or holds more than *max_rows* rows.
        InvalidInput: A column is missing, unknown or repeated, a row is ragged, a field is ill-typed.
    """
    lines = _read_lines(body, max_rows)
    names, rows = lines[0], lines[1:]
    _check_names(names, signature)
    if not rows:
        raise InvalidInput("The CSV holds names and no rows; expected at least one row.", field="body")
    for row, fields in enumerate(rows):
        if len(fields) != len(names):
            raise InvalidInput(
                f"Row {row} has {len(fields)} fields; expected {len(names)}: {show(names)}.",
                field=f"body[{row}]",
            )
    places = {name: place for place, name in enumerate(names)}
    return {
        feature.name: _read_column(feature, [fields[places[feature.name]] for fields in rows])
        for feature in signature.features
    }


def _read_lines(body: bytes, max_rows: int) -> list[list[str]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(NOT_CSV, f"The body is not UTF-8: byte {error.start} can't be read.") from error
    if "\0" in text:
        raise Refusal(NOT_CSV, "The body holds a NUL character.")
    lines: list[list[str]] = []
    try:
        for fields in csv.reader(io.StringIO(text, newline=""), strict=True):
            # A line of nothing is how files end; of one column it is a missing value.
            if fields or (lines and len(lines[0]) == 1):
                lines.append(fields or [""])
            if len(lines) > max_rows + 1:
                raise Refusal(
                    TOO_LARGE, f"The request holds over {max_rows} rows; send fewer at a time.", field="body"
                )
    except csv.Error as error:
        raise Refusal(NOT_CSV, f"The body is not CSV: {error}.") from error
    if not lines:
        raise Refusal(NOT_CSV, "The body is empty; expected a line of column names, then rows.")
    return lines


def _check_names(names: list[str], signature: Signature) -> None:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InvalidInput(f"Column {repeated!r} stands more than once; send it once.", field=repeated)
    features = [feature.name for feature in signature.features]
    missing = [name for name in features if name not in names]
    if missing:
        raise InvalidInput(
            f"Missing in the first line: {show(missing)}; it holds the names of the columns.",
            field=missing[0],
        )
    allowed = {*features, *signature.ignored, *signature.entity, signature.target, signature.timestamp}
    unknown = [name for name in names if name not in allowed]
    if unknown:
        raise InvalidInput(
            f"Unknown in the first line: {show(unknown)}; the model takes {show(features)}.", field=unknown[0]
        )


def _read_column(feature: Feature, fields: list[str]) -> list[Any]:
    read = _READERS.get(feature.type, _read_text)
    values = []
    for row, field in enumerate(fields):
        try:
            values.append(read(field))
        except ValueError as error:
            raise InvalidInput(
                f"Column {feature.name!r}, row {row}: expected {error}, found {field[:60]!a}.",
                field=feature.name,
            ) from error
    return values


def _read_text(field: str) -> str | None:
    return field or None


def _read_number(field: str) -> float | int | None:
    text = field.strip()
    if text in MISSING_NUMBERS:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a finite number")
    return value


def _read_boolean(field: str) -> bool | None:
    text = field.strip()
    if text in MISSING_NUMBERS:
        return None
    if text.lower() not in BOOLEANS:
        raise ValueError("true or false")
    return BOOLEANS[text.lower()]


_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": _read_number,
    "float": _read_number,
    "boolean": _read_boolean,
}
