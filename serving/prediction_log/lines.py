"""Owns how an answer and a label are spelled as lines of a write-ahead file."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, cast

import numpy as np
import orjson

from evertrain.records import Feature
from evertrain.spelling import spell_categories
from serving.prediction_log.reading import SLOW_MARK
from serving.problems import encode_json
from serving.recorder import Answered, LateLabel
from serving.served import Served


def name_model(served: Served) -> str:
    """What tells a version of a pipeline apart from all others in one segment."""
    return f"{served.name}/{served.version}/{served.bundle.digest}"


def spell_model(served: Served) -> bytes:
    """The line that says once a segment what a version's answers are made of."""
    signature = served.bundle.signature
    return spell_line(
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
    return spell_line(
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
        spell_line({"pipeline": pipeline, "id": each.prediction_id, "label": each.label, "at": at_seconds})
        for each in labels
    )


def spell_line(facts: dict[str, Any]) -> bytes:
    """One line of JSON, which ``read_lines`` reads; arrays stand for lists, null for NaN."""
    try:
        return orjson.dumps(facts, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # A lone surrogate, or a whole number beyond 64 bits.
        return SLOW_MARK + encode_json(_with_lists(facts)) + b"\n"


def _with_lists(value: Any) -> Any:
    """*value* with lists instead of arrays, where null stands for NaN as it does in what orjson writes."""
    if isinstance(value, dict):
        return {name: _with_lists(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_with_lists(each) for each in value]
    return None if isinstance(value, float) and isnan(value) else value


def _plain(feature: Feature, values: Sequence[Any] | np.ndarray) -> Sequence[Any] | np.ndarray:
    if not isinstance(values, np.ndarray):
        return values
    if feature.kind == "categorical":
        # As the model was given it: a 32-bit 0.1 is another category once it is widened.
        return cast("list[str]", spell_categories(values).tolist())
    # Widened, since the shortest spelling of a 32-bit number is another 64-bit one.
    return values.astype(np.float64) if values.dtype.kind == "f" else values
