"""Owns how an answer and a label are spelled as lines of a write-ahead file."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from evertrain.columns import is_missing
from evertrain.records import Feature
from evertrain.spelling import spell_categories
from serving.fleet import Served
from serving.problems import encode_answer
from serving.recorder import Answered, LateLabel

_log = logging.getLogger(__name__)


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
            "columns": [_plain(feature, answered.columns[feature.name]) for feature in signature.features],
            "labels": prediction.labels(signature),
            "scores": prediction.probabilities,
        }
    )


def spell_labels(pipeline: str, labels: Sequence[LateLabel], at_seconds: float) -> bytes:
    """The lines of late labels."""
    return b"".join(
        _line({"pipeline": pipeline, "id": each.prediction_id, "label": each.label, "at": at_seconds})
        for each in labels
    )


def read_lines(data: bytes) -> list[dict[str, Any]]:
    """The lines in *data*, without the last one if a kill cut it off.

    Others that can't be read, as after a loss of power, are passed over, and the log says how many.
    """
    *lines, _cut_off = data.split(b"\n")
    whole, broken = [], 0
    for line in lines:
        try:
            facts = json.loads(line)
        except ValueError:
            broken += 1
            continue
        if isinstance(facts, dict):
            whole.append(facts)
        else:
            broken += 1
    if broken:
        _log.warning("%d lines of the prediction log can't be read and are passed over.", broken)
    return whole


def _line(facts: dict[str, Any]) -> bytes:
    return encode_answer(facts) + b"\n"


def _plain(feature: Feature, values: Sequence[Any] | np.ndarray) -> list[Any]:
    if isinstance(values, np.ndarray):
        if feature.kind == "categorical":
            # As the model was given it: a 32-bit 0.1 is another category once it is widened.
            spelled: list[Any] = spell_categories(values).tolist()
            return spelled
        return [None if is_missing(value) else value for value in values.tolist()]
    return list(values)
