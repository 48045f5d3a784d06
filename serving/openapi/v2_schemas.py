"""Owns the JSON schemas of the Open Inference Protocol V2."""

from __future__ import annotations

from serving.openapi.schemas import Schema
from serving.protocols.v2_tensors import DATATYPES

_TENSOR_DATA: Schema = {"type": "array", "description": "Values, row by row."}
_V2_PARAMETERS: Schema = {"type": "object"}
V2_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "parameters": _V2_PARAMETERS,
                    "inputs": {
                        "type": "array",
                        "minItems": 1,
                        "description": "One tensor a feature.",
                        "items": {
                            "type": "object",
                            "required": ["name", "shape", "datatype"],
                            "properties": {
                                "name": {"type": "string"},
                                "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                                "datatype": {"enum": list(DATATYPES)},
                                "parameters": _V2_PARAMETERS,
                                "data": _TENSOR_DATA,
                            },
                            "additionalProperties": False,
                        },
                    },
                    "outputs": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {
                                "name": {"enum": ["prediction", "probabilities"]},
                                "parameters": _V2_PARAMETERS,
                            },
                            "additionalProperties": False,
                        },
                    },
                },
                "additionalProperties": False,
            }
        },
        "application/octet-stream": {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "JSON of `Inference-Header-Content-Length` bytes, then the tensors.",
            }
        },
    },
}
V2_ANSWER: Schema = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "datatype", "shape"],
                "properties": {
                    "name": {"enum": ["prediction", "probabilities"]},
                    "datatype": {"enum": list(DATATYPES)},
                    "shape": {"type": "array", "items": {"type": "integer"}},
                    "parameters": _V2_PARAMETERS,
                    "data": _TENSOR_DATA,
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
V2_SERVER: Schema = {
    "type": "object",
    "required": ["name", "version", "extensions"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "extensions": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}
_TENSORS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "items": {"type": "integer"}},
        },
        "additionalProperties": False,
    },
}
V2_MODEL: Schema = {
    "type": "object",
    "required": ["name", "versions", "platform", "inputs", "outputs"],
    "properties": {
        "name": {"type": "string"},
        "versions": {"type": "array", "items": {"type": "string"}},
        "platform": {"type": "string"},
        "inputs": _TENSORS,
        "outputs": _TENSORS,
    },
    "additionalProperties": False,
}
