"""Owns how pydantic's complaints about a YAML become faults: the path as written, and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evertrain.config import PipelineConfig
from evertrain.config.faults import Fault, Path, name_known, spell_path, spell_value
from evertrain.config.schema import Node, is_union, json_schema, nodes_at

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

REQUIRED_SECTIONS = ("data", "training", "evaluation")
BOUNDS = (
    ("minimum", "from"),
    ("exclusiveMinimum", "over"),
    ("maximum", "to"),
    ("exclusiveMaximum", "and under"),
)


def parse_config(raw: Mapping[str, Any]) -> tuple[PipelineConfig | None, list[Fault]]:
    """Read *raw* into the typed configuration, or find every place where it isn't of the right type."""
    # A missing section is read as an empty one, so that what it must hold is named.
    filled = {**{name: {} for name in REQUIRED_SECTIONS if raw.get(name) is None}, **_given(raw)}
    try:
        return PipelineConfig.model_validate(filled), []
    except ValidationError as error:
        return None, _faults_of(error, filled)


def _given(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if not (key in REQUIRED_SECTIONS and value is None)}


def _faults_of(error: ValidationError, raw: dict[str, Any]) -> list[Fault]:
    schema = json_schema()
    faults: dict[Path, Fault] = {}
    for item in error.errors(include_url=False):
        if item["type"] == "default_factory_not_called":
            continue
        path = _path_of(item, raw, schema)
        faults.setdefault(path, _fault_of(item, path, raw, schema))
    # The members of a union each complain; the one that got furthest knows best.
    return [faults[path] for path in faults if not any(_is_above(path, other) for other in faults)]


def _is_above(path: Path, other: Path) -> bool:
    return len(path) < len(other) and other[: len(path)] == path


def _path_of(item: ErrorDetails, raw: Any, schema: Node) -> Path:
    """Drop from pydantic's place what names a union's member and doesn't stand in the YAML."""
    path: list[str | int] = []
    value = raw
    last = len(item["loc"]) - 1
    at_member = False
    for position, element in enumerate(item["loc"]):
        is_missing = position == last and item["type"] == "missing"
        if not at_member and not is_missing and is_union(schema, raw, tuple(path)):
            at_member = True
        elif is_missing or _holds(value, element):
            path.append(element)
            value = None if is_missing else value[element]
            at_member = False
    return (*path, "type") if item["type"].startswith("union_tag") else tuple(path)


def _holds(value: Any, element: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(element, int) and element < len(value)
    return isinstance(value, dict) and element in value


def _fault_of(item: ErrorDetails, path: Path, raw: Any, schema: Node) -> Fault:
    spelled = spell_path(path)
    if item["type"] == "extra_forbidden":
        known = [key for node in nodes_at(schema, raw, path[:-1]) for key in node.get("properties", {})]
        return Fault(path=spelled, found="unknown key", expected=name_known(str(path[-1]), known))
    found = _found(item, path)
    if item["type"] == "value_error":
        return Fault(path=spelled, found=found, expected=item["msg"].removeprefix("Value error, expected "))
    if item["type"].startswith("union_tag"):
        tags = [tag for node in nodes_at(schema, raw, path[:-1]) for tag in node["discriminator"]["mapping"]]
        return Fault(path=spelled, found=found, expected=f"one of {', '.join(tags)}")
    allowed = dict.fromkeys(_describe(node) for node in nodes_at(schema, raw, path))
    return Fault(path=spelled, found=found, expected=" or ".join(allowed))


def _found(item: ErrorDetails, path: Path) -> str:
    if item["type"] in ("missing", "union_tag_not_found"):
        return "missing"
    if item["type"] == "union_tag_invalid":
        return spell_value(item["input"]["type"])
    if str(path[-1]).endswith("_env") and isinstance(item["input"], str):
        # Where a variable's name belongs, someone may have written the secret itself.
        return "not a variable's name"
    return spell_value(item["input"])


def _describe(node: Node) -> str:
    """Say in words what a place of the schema takes."""
    if "enum" in node:
        return f"one of {', '.join(map(str, node['enum']))}"
    if "const" in node:
        return str(node["const"])
    if "discriminator" in node:
        tags = ", ".join(node["discriminator"]["mapping"])
        return f"a mapping whose type is one of {tags}{_example(node)}"
    return _describe_type(node) + _example(node)


def _describe_type(node: Node) -> str:
    kind = node.get("type")
    if kind in ("integer", "number"):
        bounds = [f"{word} {node[key]:.10g}" for key, word in BOUNDS if key in node]
        return " ".join(["a whole number" if kind == "integer" else "a number", *bounds])
    if kind == "string":
        return f"text like {node['pattern']}" if "pattern" in node else "text"
    if kind == "array":
        return f"a list{_least(node, 'minItems')}"
    if kind == "object" and "properties" in node:
        return f"a mapping of {', '.join(node['properties'])}"
    if kind == "boolean":
        return "true or false"
    return "null" if kind == "null" else f"a mapping{_least(node, 'minProperties')}"


def _least(node: Node, key: str) -> str:
    return f" of at least {node[key]}" if key in node else ""


def _example(node: Node) -> str:
    examples = [_flow(example) for example in node.get("examples", ())]
    return f", such as {', '.join(examples)}" if examples else ""


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    plain = isinstance(value, str) and "*" not in value
    return value if plain else json.dumps(value, ensure_ascii=False)
