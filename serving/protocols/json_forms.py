"""Owns reading a request's body: any JSON form of MLflow's scoring protocol to the features' columns."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from evertrain.errors import InvalidInput
from evertrain.records import Signature
from serving.problems import TOO_LARGE, Refusal
from serving.protocols import Columns
from serving.strict_json import name_of, read_json, refuse_constants, refuse_unknown_keys, show

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_PASSED_OVER = frozenset({"params"})
_SPLIT_KEYS = frozenset({"columns", "data", "index"})


def parse_rows(
    body: bytes,
    signature: Signature,
    max_rows: int,
    *,
    forms: Sequence[str] = FORMS,
    passed_over: frozenset[str] = _PASSED_OVER,
) -> Columns:
    """Read the rows of one request.

    Args:
        body: JSON with exactly one of *forms*.
        signature: Says which columns are needed and which may be present.
        max_rows: How many rows one request may hold.
        forms: The keys that rows may stand under.
        passed_over: The keys that may stand beside them.

    Returns:
        For each feature its values, one a row, as JSON gave them: numbers are finite, types not yet checked.

    Raises:
        Refusal: The body is not JSON, or it holds more than *max_rows* rows.
        InvalidInput: The rows aren't what the model takes; ``field`` names the column or the part.
    """
    document, has_constants = read_json(body)
    form = _find_form(document, forms, passed_over)
    reader = _Reader(form, signature, max_rows)
    columns = reader.read(document[form])
    for name, values in columns.items():
        _check_finite(name, values)
    if has_constants:
        raise refuse_constants(form)
    return columns


def _find_form(document: Any, known: Sequence[str], passed_over: frozenset[str]) -> str:
    expected = f"expected an object with exactly one of {', '.join(known)}"
    if len(known) == 1:
        expected = f"expected an object with {known[0]}"
    if not isinstance(document, dict):
        raise InvalidInput(f"The body is {name_of(document)}; {expected}.", field="body")
    forms = [form for form in known if form in document]
    if len(forms) != 1:
        found = f"has {' and '.join(forms)}" if forms else "has none of the forms"
        raise InvalidInput(f"The body {found}; {expected}.", field=forms[1] if forms else "body")
    refuse_unknown_keys(document, {*forms, *passed_over}, "the body")
    return forms[0]


class _Reader:
    """Reads the rows under one form's key; every refusal names that key, a row of it, or a column."""

    def __init__(self, form: str, signature: Signature, max_rows: int) -> None:
        self._form = form
        self._max_rows = max_rows
        self._features = [feature.name for feature in signature.features]
        self._wanted = frozenset(self._features)
        passed_over = {*signature.ignored, *signature.entity, signature.target, signature.timestamp}
        self._allowed = self._wanted | passed_over

    def read(self, value: Any) -> Columns:
        if self._form == "dataframe_split":
            return self._read_split(value)
        if self._form == "inputs" and isinstance(value, dict):
            return self._read_columns(value)
        rows = self._list_of(value, self._form)
        if self._form == "dataframe_records" or isinstance(rows[0], dict):
            return self._read_records(rows)
        return self._read_rows(rows, self._form, self._features)

    def _read_split(self, value: Any) -> Columns:
        if not isinstance(value, dict) or not {"columns", "data"} <= value.keys():
            raise InvalidInput("Expected an object with 'columns' and 'data'.", field=self._form)
        refuse_unknown_keys(value, _SPLIT_KEYS, self._form)
        names = value["columns"]
        self._check_split_names(names)
        data = f"{self._form}.data"
        columns = self._read_rows(self._list_of(value["data"], data), data, names)
        return {name: columns[name] for name in self._features}

    def _check_split_names(self, names: Any) -> None:
        field = f"{self._form}.columns"
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidInput("Expected a list of column names.", field=field)
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise InvalidInput(
                f"Column {repeated!r} stands more than once in {field}; send it once.", field=repeated
            )
        self._check_names(dict.fromkeys(names), field)

    def _read_columns(self, value: dict[str, Any]) -> Columns:
        self._check_names(value, self._form)
        rows = len(self._list_of(value[self._features[0]], self._features[0]))
        for name in self._features:
            values = self._list_of(value[name], name)
            if len(values) != rows:
                first = self._features[0]
                raise InvalidInput(
                    f"Column {name!r} has {len(values)} values, {first!r} {rows}; expected one a row.",
                    field=name,
                )
        return {name: value[name] for name in self._features}

    def _read_records(self, records: list[Any]) -> Columns:
        for row, record in enumerate(records):
            if not isinstance(record, dict):
                raise InvalidInput(
                    f"Row {row} is {name_of(record)}; expected an object like the others.",
                    field=f"{self._form}[{row}]",
                )
            if record.keys() != self._wanted:
                self._check_names(record, f"row {row} of {self._form}")
        return {name: [record[name] for record in records] for name in self._features}

    def _read_rows(self, rows: list[Any], field: str, names: Sequence[str]) -> Columns:
        for row, values in enumerate(rows):
            if not isinstance(values, list):
                raise InvalidInput(
                    f"Row {row} is {name_of(values)}; expected a list of {len(names)} values.",
                    field=f"{field}[{row}]",
                )
            if len(values) != len(names):
                raise InvalidInput(
                    f"Row {row} has {len(values)} values; expected {len(names)}: {show(names)}.",
                    field=f"{field}[{row}]",
                )
        return dict(zip(names, zip(*rows, strict=True), strict=True))

    def _list_of(self, value: Any, field: str) -> list[Any]:
        if not isinstance(value, list):
            raise InvalidInput(f"{field} is {name_of(value)}; expected a list.", field=field)
        if not value:
            raise InvalidInput(f"{field} holds no rows; expected at least one.", field=field)
        if len(value) > self._max_rows:
            raise Refusal(
                TOO_LARGE,
                f"The request holds {len(value)} rows; send at most {self._max_rows} at a time.",
                field=field,
            )
        return value

    def _check_names(self, given: dict[str, Any], where: str) -> None:
        missing = [name for name in self._features if name not in given]
        if missing:
            raise InvalidInput(
                f"Missing in {where}: {show(missing)}; send null where a value isn't known.",
                field=missing[0],
            )
        unknown = [name for name in given if name not in self._allowed]
        if unknown:
            raise InvalidInput(
                f"Unknown in {where}: {show(unknown)}; the model takes {show(self._features)}.",
                field=unknown[0],
            )


def _check_finite(name: str, values: Sequence[Any]) -> None:
    # The column layer takes NaN for a missing value, and a category may be any number.
    if float not in set(map(type, values)):
        return
    for row, value in enumerate(values):
        if isinstance(value, float) and not isfinite(value):
            raise InvalidInput(
                f"Column {name!r}, row {row}: expected a finite number, or null where it is missing.",
                field=name,
            )
