"""Owns MLflow's scoring protocol, which with ``/ping`` is SageMaker's too."""

from __future__ import annotations

from typing import Any

from evertrain.predictions import Prediction
from evertrain.records import Signature
from serving.problems import encode_answer
from serving.protocols import JSON, Asked, Call, Protocol, Spelled
from serving.protocols.csv_rows import read_csv
from serving.protocols.json_forms import parse_rows
from serving.served import Served

CSV = "text/csv"


def _read(call: Call, signature: Signature, max_rows: int) -> Asked:
    read = read_csv if call.media_type == CSV else parse_rows
    return Asked(read(call.body, signature, max_rows))


def spell_answer(_asked: Asked, served: Served, prediction: Prediction, _call: Call) -> Spelled:
    """Spell ``predictions``, one a row; for classifiers that have them ``probabilities`` and ``classes``."""
    signature = served.bundle.signature
    answer: dict[str, Any] = {"predictions": prediction.labels(signature)}
    if prediction.probabilities is not None:
        answer["probabilities"] = prediction.probabilities
        answer["classes"] = signature.classes
    return Spelled(encode_answer(answer))


MLFLOW_SCORING = Protocol(frozenset({JSON, CSV}), _read, spell_answer)
