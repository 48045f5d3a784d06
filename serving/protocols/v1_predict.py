"""Owns ``:predict`` of TensorFlow Serving's REST interface, of KServe's V1 and of Vertex AI."""

from __future__ import annotations

from evertrain.records import Signature
from serving.protocols import JSON, Asked, Call, Protocol
from serving.protocols.json_forms import parse_rows
from serving.protocols.mlflow_scoring import spell_answer

PASSED_OVER = frozenset({"signature_name", "parameters"})


def _read(call: Call, signature: Signature, max_rows: int) -> Asked:
    return Asked(parse_rows(call.body, signature, max_rows, forms=("instances",), passed_over=PASSED_OVER))


V1_PREDICT = Protocol(frozenset({JSON, ""}), _read, spell_answer)
