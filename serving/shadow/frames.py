"""Owns what travels between a service and its challenger: frames of JSON, bounded in length and in time."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from evertrain.columns import Values
from evertrain.frozen import Record
from evertrain.predictions import Prediction
from serving.prediction_log.reading import read_lines
from serving.shadow.comparison import Answer

MOST_REPLY_BYTES = 1 << 16
WORDS = 300
"""So many characters of a failure are told."""
DTYPE, VALUES = "dtype", "values"
_LENGTH = struct.Struct("!I")
_Count = Annotated[int, Field(ge=0)]


class Offer(NamedTuple):
    """One request's rows, and what stable answered."""

    columns: Mapping[str, Values]
    stable: Answer


class Reply(Record):
    """What became of some requests, in their order; one without any says that the challenger is ready.

    Attributes:
        requests: How many.
        compared: Of their rows.
        failed: Of their rows: the challenger raised, or its answer can't be compared.
        compared_requests: How many of them were compared.
        disagreeing: Of the compared rows.
        score_shift: Summed over the compared rows.
        slower: Of the compared requests.
        failure: What went wrong last, in words.
        ended: Why the challenger ends now; "" where it doesn't.
    """

    requests: _Count = 0
    compared: _Count = 0
    failed: _Count = 0
    compared_requests: _Count = 0
    disagreeing: _Count = 0
    score_shift: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    slower: _Count = 0
    failure: str = ""
    ended: str = ""


def offer_facts(
    columns: Mapping[str, Values],
    prediction: Prediction,
    classes: Sequence[Any] | None,
    seconds: float,
) -> dict[str, Any]:
    """What a request's line says; ``read_offers`` reads it again, to the very same values."""
    return {
        "columns": {
            name: _pack(values) if isinstance(values, np.ndarray) else values
            for name, values in columns.items()
        },
        "codes": prediction.codes,
        "values": prediction.values,
        "probabilities": prediction.probabilities,
        "classes": classes,
        "seconds": seconds,
    }


def read_offers(lines: bytes) -> Iterator[Offer]:
    """Read the requests of a frame, one a line."""
    for facts in read_lines(io.BytesIO(lines)):
        prediction = Prediction(
            codes=_as_array(facts["codes"], np.int64),
            values=_as_array(facts["values"], np.float64),
            probabilities=_as_array(facts["probabilities"], np.float64),
        )
        classes = None if facts["classes"] is None else tuple(facts["classes"])
        columns = {name: _unpack(values) for name, values in facts["columns"].items()}
        yield Offer(columns, Answer(prediction, classes, facts["seconds"]))


def _pack(values: np.ndarray) -> Any:
    if values.dtype.kind not in "biuf":
        return values.tolist()
    # Read again in as many bits: 0.1 of 32 bits is another number, and as a category another spelling.
    return {DTYPE: values.dtype.str, VALUES: values}


def _unpack(values: Any) -> Values:
    if not isinstance(values, dict):
        found: list[Any] = values
        return found
    dtype = np.dtype(values[DTYPE])
    # null is how JSON says NaN.
    return np.array(values[VALUES], dtype=np.float64 if dtype.kind == "f" else dtype).astype(dtype)


def _as_array(values: Any, dtype: type) -> np.ndarray | None:
    return None if values is None else np.array(values, dtype=dtype)


def send_frame(channel: socket.socket, data: bytes) -> None:
    """Send *data* whole.

    Raises:
        OSError: The other end is gone, or takes nothing for the channel's timeout.
    """
    channel.sendall(_LENGTH.pack(len(data)) + data)


def read_frame(channel: socket.socket, most_bytes: int | None = None) -> bytes:
    """Read one frame; b"" where the other end closed.

    Raises:
        OSError: Nothing came for the channel's timeout.
        ValueError: It is longer than *most_bytes*.
    """
    head = _read(channel, _LENGTH.size)
    if not head:
        return b""
    (length,) = _LENGTH.unpack(head)
    if most_bytes is not None and length > most_bytes:
        raise ValueError(f"a frame of {length:,} bytes; at most {most_bytes:,} are read")
    return _read(channel, length)


def _read(channel: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        piece = channel.recv(min(size - len(found), 1 << 20))
        if not piece:
            return b""
        found += piece
    return bytes(found)
