"""Owns the JSON schemas of what is sent and answered; plain ones: no row goes through pydantic."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_CELL: Schema = {"type": ["string", "number", "boolean", "null"]}
RECORDS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object", "additionalProperties": _CELL},
}
ROWS: Schema = {"type": "array", "minItems": 1, "items": {"type": "array", "items": _CELL}}
COLUMNS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "array", "minItems": 1, "items": _CELL},
}
_SPLIT: Schema = {
    "type": "object",
    "required": ["columns", "data"],
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "data": ROWS,
        "index": {"description": "Not looked at."},
    },
    "additionalProperties": False,
}


def _form(name: str, schema: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "title": name,
        "description": description,
        "required": [name],
        "properties": {name: schema, "params": {"description": "Not looked at."}},
        "additionalProperties": False,
    }


INVOCATION_BODY: Schema = {
    "required": True,
    "content": {
        "text/csv": {
            "schema": {"type": "string", "description": "Column names, then rows; an empty field is missing."}
        },
        "application/json": {
            "schema": {
                "oneOf": [
                    _form("dataframe_split", _SPLIT, "Column names once, then a list of values a row."),
                    _form("dataframe_records", RECORDS, "An object a row."),
                    _form(
                        "instances",
                        {"oneOf": [RECORDS, ROWS]},
                        "An object a row, or a list a row in the order of the signature's features.",
                    ),
                    _form(
                        "inputs",
                        {"oneOf": [COLUMNS, RECORDS, ROWS]},
                        "A list of values a column, or as `instances`.",
                    ),
                ]
            }
        },
    },
}

LABEL: Schema = {"type": ["string", "number", "boolean"]}
ANSWER: Schema = {
    "type": "object",
    "required": ["predictions"],
    "properties": {
        "predictions": {"type": "array", "items": LABEL, "description": "A label or a number a row."},
        "probabilities": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
            "description": "A list a row, in the order of `classes`; only where the model has them.",
        },
        "classes": {"type": "array", "items": LABEL},
    },
    "additionalProperties": False,
}
_ARM: Schema = {
    "type": "object",
    "required": ["arm", "version", "weight", "bundle", "runtime"],
    "properties": {
        "arm": {"enum": ["stable"]},
        "version": {"type": "integer", "minimum": 1},
        "weight": {"type": "number", "description": "Per cent of the requests."},
        "bundle": {"type": "string", "description": "The bundle's digest."},
        "runtime": {"enum": ["onnx", "native"]},
    },
    "additionalProperties": False,
}
MODEL: Schema = {
    "type": "object",
    "required": ["name", "version", "generation", "bundle", "runtime", "arms", "signature"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "integer", "minimum": 1, "description": "The champion's."},
        "generation": {"type": "integer", "description": "How often the champion has changed."},
        "bundle": _ARM["properties"]["bundle"],
        "runtime": _ARM["properties"]["runtime"],
        "arms": {"type": "array", "items": _ARM},
        "signature": {"type": "object", "description": "What the model is asked with and answers."},
    },
    "additionalProperties": False,
}
MODEL_NAMES: Schema = {
    "type": "object",
    "required": ["models"],
    "properties": {"models": {"type": "array", "items": {"type": "string"}}},
    "additionalProperties": False,
}
STATUS: Schema = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}},
    "additionalProperties": False,
}
PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "The column, or the part of the request, that is wrong."},
        "error": {"type": "string", "description": "V2 only: the same as `detail`."},
    },
    "additionalProperties": False,
}
REQUEST_ID = {
    "x-evertrain-request-id": {
        "description": "The caller's own, if it sent a sane one; else a new one.",
        "schema": {"type": "string"},
    }
}
ANSWER_HEADERS = {
    "x-evertrain-version": {"description": "Which version answered.", "schema": {"type": "integer"}},
    "x-evertrain-arm": {"description": "Which arm answered.", "schema": {"enum": ["stable"]}},
    **REQUEST_ID,
}
_V1_FORM: Schema = {
    **_form("instances", {"oneOf": [RECORDS, ROWS]}, "An object a row, or a list a row."),
}
_V1_FORM["properties"] = {
    "instances": _V1_FORM["properties"]["instances"],
    "signature_name": {"description": "Not looked at."},
    "parameters": {"description": "Not looked at."},
}
V1_BODY: Schema = {"required": True, "content": {"application/json": {"schema": _V1_FORM}}}
FEEDBACK_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["labels"],
                "properties": {
                    "labels": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["prediction_id", "label"],
                            "properties": {
                                "prediction_id": {"type": "string", "pattern": "/[0-9]{1,9}$"},
                                "label": LABEL,
                            },
                            "additionalProperties": False,
                        },
                    }
                },
                "additionalProperties": False,
            }
        }
    },
}
ACCEPTED: Schema = {
    "type": "object",
    "required": ["accepted"],
    "properties": {"accepted": {"type": "integer", "description": "How many labels are kept."}},
    "additionalProperties": False,
}
FLAG: Schema = {"type": "object", "additionalProperties": {"type": ["boolean", "string", "array"]}}
