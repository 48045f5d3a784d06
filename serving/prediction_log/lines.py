"""Owns how an answer and a label are spelled as lines of a write-ahead file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from evertrain.columns import is_missing
from serving.fleet import Served
from serving.recorder import Answered, LateLabel


def name_model(served: Served) -> str:
    """What tells a version of a pipeline apart from all others in one segment."""
    return f"{served.name}/{served.version}/{served.bundle.digest}"


def spell_model(served: Served) -> bytes:
    """The line that says once a segment what a version's answers are made of."""
    signature = served.bundle.signature
    return _line(
        {
            "model": name_model(served),
            "bundle": served.bundle.digest,
            "pipeline": served.name,
            "version": served.version,
            "features": [[feature.name, feature.kind, feature.type] for feature in signature.features],
            "classes": signature.classes,
        }
    )


def spell_answer(answered: Answered) -> bytes:
    """The line of one answered request."""
    prediction, signature = answered.prediction, answered.served.bundle.signature
    return _line(
        {
            "of": name_model(answered.served),
            "arm": answered.arm,
            "id": answered.request_id,
            "entity": answered.entity,
            "at": answered.at_seconds,
            "seconds": answered.seconds,
            "columns": [_plain(answered.columns[feature.name]) for feature in signature.features],
            "labels": prediction.labels(signature),
            "scores": None if prediction.probabilities is None else prediction.probabilities.tolist(),
        }
    )


def spell_labels(pipeline: str, labels: Sequence[LateLabel], at_seconds: float) -> bytes:
    """The lines of late labels."""
    return b"".join(
        _line({"pipeline": pipeline, "id": each.prediction_id, "label": each.label, "at": at_seconds})
        for each in labels
    )


def read_lines(data: bytes) -> list[dict[str, Any]]:
    """The lines in *data*; one that a kill cut off isn't there."""
    whole, _, _ = data.rpartition(b"\n")
    return [json.loads(line) for line in whole.split(b"\n") if line]


def _line(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _plain(values: Sequence[Any] | np.ndarray) -> list[Any]:
    if isinstance(values, np.ndarray):
        return [None if is_missing(value) else value for value in values.tolist()]
    return list(values)
