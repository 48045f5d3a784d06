"""Owns the way from a call to an answer's body: read, predict, spell; no HTTP and no waiting."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

from evertrain.errors import InvalidInput, ModelFailed
from evertrain.predictions import Prediction
from serving.fleet import Served
from serving.problems import INVALID_INPUT, MODEL_FAILED, Refusal
from serving.protocols import Call, Columns, Protocol, Spelled

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much one request may hold, and how long the rest of one that held more is listened to."""

    body_bytes: int = 1 << 20
    rows: int = 1_000
    drain_bytes: int = 64 << 20
    drain_seconds: float = 10.0


class Scored(NamedTuple):
    """The rows of a call, what the model said of them, and that as the caller wants it."""

    columns: Columns
    prediction: Prediction
    spelled: Spelled


def score(served: Served, protocol: Protocol, call: Call, max_rows: int) -> Scored:
    """Score the rows of *call*.

    Raises:
        Refusal: The rows are refused, or the model failed on them.
    """
    try:
        asked = protocol.read(call, served.bundle.signature, max_rows)
        prediction = _predict(served, asked.columns)
        spelled = protocol.spell(asked, served, prediction, call)
        return Scored(asked.columns, prediction, spelled)
    except InvalidInput as error:
        raise Refusal(INVALID_INPUT, error.message, field=error.field) from error


def _predict(served: Served, columns: Columns) -> Prediction:
    try:
        return served.bundle.predict(columns)
    except InvalidInput:
        raise
    except Exception as error:  # a model may raise anything; the caller gets one answer, the log the cause
        _log.error("%s failed: %s: %s", served, type(error).__name__, error)
        told = (
            error.message
            if isinstance(error, ModelFailed)
            else "It raised an error; the service's log says which."
        )
        raise Refusal(
            MODEL_FAILED, f"{served.name} v{served.version} failed on these rows. {told}"
        ) from error
