"""Owns what a protocol is to the service: a way to read rows from a body, and to spell the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from evertrain.predictions import Prediction
from evertrain.records import Signature
from serving.served import Served

Columns: TypeAlias = dict[str, Sequence[Any]]
Headers: TypeAlias = Mapping[bytes, bytes]

JSON = "application/json"


class Call(NamedTuple):
    """One request as it came.

    Attributes:
        body: Whole, decoded.
        media_type: Of the body, in small letters, without parameters; "" where the caller named none.
        headers: By name in small letters.
        request_id: Its name.
    """

    body: bytes
    media_type: str
    headers: Headers
    request_id: str


class Asked(NamedTuple):
    """The rows of a call: for each feature its values, one a row; and what the protocol has to remember."""

    columns: Columns
    note: Any = None


class Spelled(NamedTuple):
    """An answer's body, its media type and further headers."""

    body: bytes
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Protocol(NamedTuple):
    """A way to ask for predictions.

    Attributes:
        media_types: What a body may be; "" where it may be left out.
        read: Takes a call, the signature and how many rows it may hold; raises Refusal or InvalidInput.
        spell: Takes what was asked, the model and its prediction.
        error_member: Whether its clients look for the message of a refusal under ``error``.
    """

    media_types: frozenset[str]
    read: Callable[[Call, Signature, int], Asked]
    spell: Callable[[Asked, Served, Prediction, Call], Spelled]
    error_member: bool = False
