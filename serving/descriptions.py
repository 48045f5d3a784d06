"""Owns what ``/openapi.json`` says of each route: plain schemas, so that no row goes through pydantic."""

from __future__ import annotations

from typing import Any

from serving.problems import PROBLEM_TYPE, Kind

Schema = dict[str, Any]

_CELL: Schema = {"type": ["string", "number", "boolean", "null"]}
_RECORDS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object", "additionalProperties": _CELL},
}
_ROWS: Schema = {"type": "array", "minItems": 1, "items": {"type": "array", "items": _CELL}}
_COLUMNS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "array", "minItems": 1, "items": _CELL},
}
_SPLIT: Schema = {
    "type": "object",
    "required": ["columns", "data"],
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "data": _ROWS,
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
        "application/json": {
            "schema": {
                "oneOf": [
                    _form("dataframe_split", _SPLIT, "Column names once, then a list of values a row."),
                    _form("dataframe_records", _RECORDS, "An object a row."),
                    _form(
                        "instances",
                        {"oneOf": [_RECORDS, _ROWS]},
                        "An object a row, or a list a row in the order of the signature's features.",
                    ),
                    _form(
                        "inputs",
                        {"oneOf": [_COLUMNS, _RECORDS, _ROWS]},
                        "A list of values a column, or as `instances`.",
                    ),
                ]
            }
        }
    },
}

_LABEL: Schema = {"type": ["string", "number", "boolean"]}
_ANSWER: Schema = {
    "type": "object",
    "required": ["predictions"],
    "properties": {
        "predictions": {"type": "array", "items": _LABEL, "description": "A label or a number a row."},
        "probabilities": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
            "description": "A list a row, in the order of `classes`; only where the model has them.",
        },
        "classes": {"type": "array", "items": _LABEL},
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
_MODEL: Schema = {
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
_STATUS: Schema = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}},
    "additionalProperties": False,
}
_PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "The column, or the part of the request, that is wrong."},
    },
    "additionalProperties": False,
}
_REQUEST_ID = {
    "x-evertrain-request-id": {
        "description": "The caller's own, if it sent a sane one; else a new one.",
        "schema": {"type": "string"},
    }
}
_ANSWER_HEADERS = {
    "x-evertrain-version": {"description": "Which version answered.", "schema": {"type": "integer"}},
    "x-evertrain-arm": {"description": "Which arm answered.", "schema": {"enum": ["stable"]}},
    **_REQUEST_ID,
}

Responses = dict[int | str, dict[str, Any]]


def _json(description: str, schema: Schema, headers: Schema | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"description": description, "content": content, "headers": headers or {}}


def describe_problems(*kinds: Kind) -> Responses:
    """The answers of a route that refuses with *kinds*, by status."""
    return {
        kind.status: {"description": kind.title, "content": {PROBLEM_TYPE: {"schema": _PROBLEM}}}
        for kind in kinds
    }


STATUS_ANSWER: Responses = {200: _json("It does", _STATUS)}
METRICS_ANSWER: Responses = {
    200: {
        "description": "The metrics as they are now",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
MODEL_ANSWER: Responses = {200: _json("The model as it answers now", _MODEL)}
INVOCATION_ANSWER: Responses = {200: _json("One answer a row", _ANSWER, _ANSWER_HEADERS)}
