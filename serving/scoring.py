"""Owns the way from a request's body to an answer's: parse, predict, spell; no HTTP and no waiting."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from evertrain.bundles import Bundle
from evertrain.errors import InvalidInput, ModelFailed
from evertrain.predictions import Prediction
from serving.fleet import Served
from serving.parsing import Columns, parse_rows
from serving.problems import INVALID_INPUT, MODEL_FAILED, Refusal, encode_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much one request may hold, and how long the rest of one that held more is listened to."""

    body_bytes: int = 1 << 20
    rows: int = 1_000
    drain_bytes: int = 64 << 20
    drain_seconds: float = 10.0


def answer_rows(served: Served, body: bytes, limits: Limits) -> bytes:
    """Score the rows in *body*.

    Returns:
        JSON: ``predictions``, one a row; for classifiers that have them ``probabilities`` and ``classes``.

    Raises:
        Refusal: The rows are refused, or the model failed on them.
    """
    try:
        columns = parse_rows(body, served.bundle.signature, limits.rows)
        prediction = _predict(served, columns)
    except InvalidInput as error:
        raise Refusal(INVALID_INPUT, error.message, field=error.field) from error
    return encode_json(_answer_of(served.bundle, prediction))


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


def _answer_of(bundle: Bundle, prediction: Prediction) -> dict[str, Any]:
    answer: dict[str, Any] = {"predictions": prediction.labels(bundle.signature)}
    if prediction.probabilities is not None:
        answer["probabilities"] = prediction.probabilities.tolist()
        answer["classes"] = bundle.signature.classes
    return answer
