"""Owns the tensors of the Open Inference Protocol V2: their datatypes, as JSON and as raw bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from evertrain.errors import InvalidInput
from evertrain.records import Label
from serving.strict_json import name_of


class Datatype(NamedTuple):
    """One of V2's datatypes: numpy's name for it, and the smallest and largest whole number it holds."""

    code: str
    low: int = 0
    high: int = 0


def _whole(code: str) -> Datatype:
    limits = np.iinfo(code)
    return Datatype(code, int(limits.min), int(limits.max))


DATATYPES: Mapping[str, Datatype] = {
    "BOOL": Datatype("?"),
    "BYTES": Datatype("O"),
    "FP16": Datatype("<f2"),
    "FP32": Datatype("<f4"),
    "FP64": Datatype("<f8"),
    **{f"INT{bits}": _whole(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": _whole(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
}


def read_data(name: str, datatype: str, data: Any, rows: int) -> list[Any]:
    """Read a tensor's ``data`` from JSON: *rows* values, or lists of one; null is a missing value.

    Raises:
        InvalidInput: It has another shape, or a value is not of *datatype*.
    """
    if not isinstance(data, list):
        raise InvalidInput(f"The data of input {name!r} is {name_of(data)}; expected a list.", field=name)
    values = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]
    if len(values) != rows:
        raise InvalidInput(f"Input {name!r} has {len(values)} values; its shape says {rows}.", field=name)
    for row, value in enumerate(values):
        if value is not None and not _fits(datatype, value):
            found = name_of(value) if isinstance(value, list | dict | str | bool) else ascii(value)[:60]
            raise InvalidInput(f"Input {name!r}, row {row}: expected {datatype}, found {found}.", field=name)
    return values


def _fits(datatype: str, value: Any) -> bool:
    if datatype == "BYTES":
        return isinstance(value, str)
    if datatype == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    kind = DATATYPES[datatype]
    if kind.code[1] == "f":
        return True
    return isinstance(value, int) and kind.low <= value <= kind.high


def read_bytes(name: str, datatype: str, raw: bytes, rows: int) -> Sequence[Any]:
    """Read a tensor from the binary extension: little-endian; of text each after its length in four bytes.

    Returns:
        Numbers and booleans as an array of shape (rows,), where NaN is a missing value; texts as a list.

    Raises:
        InvalidInput: There are more or fewer bytes than *rows* values take, or text isn't UTF-8.
    """
    if datatype == "BYTES":
        return _read_texts(name, raw, rows)
    array = np.dtype(DATATYPES[datatype].code)
    if len(raw) != rows * array.itemsize:
        raise InvalidInput(
            f"Input {name!r} has {len(raw)} bytes; {rows} values of {datatype} take {rows * array.itemsize}.",
            field=name,
        )
    if datatype == "BOOL" and raw.translate(None, b"\0\1"):
        raise InvalidInput(f"Input {name!r}: a BOOL is a byte 0 or 1.", field=name)
    return np.frombuffer(raw, dtype=array)  # type: ignore[return-value]


def _read_short_texts(raw: bytes, rows: int) -> list[str] | None:
    """Read texts as most are, short and ASCII, without looking at each; None where one isn't.

    A length under 128 is one character and three zeros, which then stand nowhere else: they part the texts.
    """
    if not raw.isascii() or raw.count(0) != 3 * rows:
        return None
    first, *parts = raw.decode("ascii").split("\0\0\0")
    if len(parts) != rows or len(first) != 1:
        return None
    # The last character of each part but the last is the next one's length.
    texts = [part[:-1] for part in parts[:-1]] + parts[-1:]
    lengths = first + "".join([part[-1:] for part in parts[:-1]])
    return texts if list(map(len, texts)) == list(lengths.encode("ascii")) else None


def _read_texts(name: str, raw: bytes, rows: int) -> list[str]:
    short = _read_short_texts(raw, rows)
    if short is not None:
        return short
    texts = []
    place = 0
    for row in range(rows):
        end = place + 4 + (struct.unpack_from("<I", raw, place)[0] if place + 4 <= len(raw) else len(raw))
        if end > len(raw):
            raise InvalidInput(f"Input {name!r} ends within row {row} of {rows}.", field=name)
        try:
            texts.append(raw[place + 4 : end].decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidInput(f"Input {name!r}, row {row}: the text isn't UTF-8.", field=name) from error
        place = end
    if place != len(raw):
        raise InvalidInput(f"Input {name!r} has {len(raw) - place} bytes after its {rows} texts.", field=name)
    return texts


def datatype_of(labels: Sequence[Label] | None) -> str:
    """The datatype of predictions: that of the classes *labels*; without classes, FP64."""
    kinds = {type(label) for label in labels or ()}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    return "FP64" if not kinds or kinds <= {int, float} else "BYTES"


def write_bytes(datatype: str, values: Sequence[Any] | np.ndarray) -> bytes:
    """Write a tensor for the binary extension; the inverse of ``read_bytes``."""
    if datatype != "BYTES":
        return np.ascontiguousarray(values, dtype=DATATYPES[datatype].code).tobytes()
    texts = (str(value).encode("utf-8", "backslashreplace") for value in values)
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
