"""The JSON schema that editors check a YAML against."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from evertrain.config.schema import is_union, json_schema, main, nodes_at, spell_schema

SCHEMA = json_schema()
REQUIRED = """
name: flights
data: {source: {type: files, uri: data.csv}, target: late}
training: {estimator: sklearn.tree.DecisionTreeClassifier}
evaluation: {task: binary_classification}
"""


def is_valid(text: str) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text))


def test_the_schema_is_a_schema_and_takes_the_required_keys():
    """Draft 2020-12, as its own address says."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert is_valid(REQUIRED)


@pytest.mark.parametrize(
    "line",
    [
        "nmae: x",
        "serving: {sample: 2}",
        "promotion: {strategy: {type: canary, steps: [150]}}",
        "promotion: {strategy: {type: rolling}}",
        "drift: {cooldown: 5 minutes}",
        "serving: {log_predictions: 1}",
    ],
)
def test_editors_see_what_evertrain_would_refuse(line):
    """Unknown keys, values out of range, unknown kinds."""
    assert not is_valid(REQUIRED + line)


def test_every_kind_and_section_is_described():
    """Docstrings are the manual."""
    assert [name for name, node in SCHEMA["$defs"].items() if not node.get("description")] == []


def test_defaults_are_spelled_as_the_yaml_does():
    """A duration's default is 1d, not PT24H."""
    assert SCHEMA["$defs"]["DriftConfig"]["properties"]["cooldown"]["default"] == "1d"
    assert "PT" not in spell_schema()


@pytest.mark.parametrize(
    ("value", "path", "types"),
    [
        ({}, ("name",), ["string"]),
        ({}, ("data", "weight"), ["string", "null"]),
        ({"promotion": {"strategy": {"type": "canary"}}}, ("promotion", "strategy", "steps", 0), ["integer"]),
        ({"promotion": {"strategy": {"type": "ab"}}}, ("promotion", "strategy", "steps", 0), []),
        ({"notify": [{"type": "slack"}]}, ("notify", 0, "url_env"), ["string"]),
        ({"notify": []}, ("notify", 3, "url_env"), []),
        ({"notify": 5}, ("notify", 0, "url_env"), []),
        ({}, ("nmae",), []),
    ],
)
def test_a_place_is_found_in_the_schema_by_the_values_kinds(value, path, types):
    """A union's member is the one that the value's type names."""
    assert [node["type"] for node in nodes_at(SCHEMA, value, path)] == types


@pytest.mark.parametrize(
    ("path", "union"),
    [
        ((), False),
        (("data",), False),
        (("data", "source"), True),
        (("evaluation", "gates"), False),
        (("evaluation", "gates", 0), True),
        (("training", "search", "space", "x"), True),
        (("nmae", "x"), False),
    ],
)
def test_unions_are_known_by_their_place(path, union):
    """Sources, gates, strategies, notifiers and search spaces."""
    assert is_union(SCHEMA, {}, path) is union


def test_the_command_writes_the_file(tmp_path, monkeypatch):
    """`python -m evertrain.config.schema` in the project's folder."""
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)

    assert main() == 0
    assert Path("configs/schema.json").read_text(encoding="utf-8") == spell_schema()
