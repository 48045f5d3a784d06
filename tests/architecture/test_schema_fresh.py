"""The schema in the repository is the one that the types give."""

from __future__ import annotations

from pathlib import Path

from evertrain.config.schema import spell_schema

ROOT = Path(__file__).resolve().parents[2]


def test_the_schema_is_fresh():
    """`python -m evertrain.config.schema` was run after the last change of a type."""
    assert (ROOT / "configs" / "schema.json").read_text(encoding="utf-8") == spell_schema()
