"""Owns the configuration's JSON schema: editors check a YAML against it, faults say by it what is allowed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from evertrain.config import PipelineConfig
from evertrain.durations import spell_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE = Path("configs/schema.json")

Node = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """Spells default durations as the YAML does."""

    def encode_default(self, dft: Any) -> Any:
        return spell_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> Node:
    """Build the JSON schema of a pipeline's YAML; docstrings are its descriptions."""
    schema = PipelineConfig.model_json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, **schema, "title": "evertrain pipeline"}


def spell_schema() -> str:
    """Spell the schema as ``configs/schema.json`` holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def nodes_at(schema: Node, value: Any, path: tuple[str | int, ...]) -> list[Node]:
    """Find what *schema* says of the place *path* in *value*; several where alternatives are allowed.

    *value* picks the member of a union by its ``type``; it may be faulty, and may lack the place.
    """
    nodes = list(_alternatives(schema, schema, value))
    for element in path:
        value = _child(value, element)
        below = [found for node in nodes for found in _below(node, element)]
        nodes = [found for node in below for found in _alternatives(schema, node, value)]
    return nodes


def is_union(schema: Node, value: Any, path: tuple[str | int, ...]) -> bool:
    """Whether the place *path* in *value* takes one of several kinds, told apart by their ``type``."""
    if not path:
        return False
    return any(
        "oneOf" in below for node in nodes_at(schema, value, path[:-1]) for below in _below(node, path[-1])
    )


def _child(value: Any, element: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(element)
    if isinstance(value, list) and isinstance(element, int):
        return value[element] if element < len(value) else None
    return None


def _below(node: Node, element: str | int) -> Iterator[Node]:
    if isinstance(element, int):
        below = node.get("items")
    else:
        below = node.get("properties", {}).get(element, node.get("additionalProperties"))
    if isinstance(below, dict):
        yield below


def _alternatives(schema: Node, node: Node, value: Any) -> Iterator[Node]:
    if "$ref" in node:
        yield from _alternatives(schema, schema["$defs"][node["$ref"].rpartition("/")[2]], value)
    elif "anyOf" in node:
        for member in node["anyOf"]:
            yield from _alternatives(schema, member, value)
    elif "oneOf" in node:
        tag = value.get("type") if isinstance(value, dict) else None
        reference = node["discriminator"]["mapping"].get(tag) if isinstance(tag, str) else None
        yield from _alternatives(schema, {"$ref": reference}, value) if reference else [node]
    else:
        yield node


def main() -> int:
    """Write ``configs/schema.json``, below the current folder."""
    SCHEMA_FILE.write_text(spell_schema(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
