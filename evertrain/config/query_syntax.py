"""Owns what ``data.query`` shows without data: whether it is one SELECT, and which columns it computes."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from evertrain.config.faults import Fault, fault_at
from evertrain.config.rules.raw import Raw, pick_text

QUERY = ("data", "query")
EXPECTED = "one SELECT over the table source"


def find_query_faults(raw: Raw) -> list[Fault]:
    """Find a query that DuckDB's parser refuses, or that isn't one SELECT."""
    query = pick_text(raw, *QUERY)
    if query is None:
        return []
    tree = _parse(query)
    if tree["error"]:
        return [fault_at(QUERY, _problem_of(query, tree), EXPECTED)]
    if len(tree["statements"]) != 1:
        return [fault_at(QUERY, f"{len(tree['statements'])} statements", EXPECTED)]
    if any(part.get("type") == "SHOW_REF" for part in _parts(tree)):
        return [fault_at(QUERY, "a DESCRIBE, SHOW or SUMMARIZE", EXPECTED)]
    return []


def computed_columns(query: str) -> frozenset[str]:
    """Name the columns that *query* computes, as it names them; one that is only renamed is not computed."""
    computed: set[str] = set()
    renamed: list[tuple[str, str]] = []
    for part in _parts(_parse(query)):
        for item in part.get("select_list", ()):
            if item["class"] == "COLUMN_REF":
                renamed.append((item["column_names"][-1], item["alias"] or item["column_names"][-1]))
            elif item["class"] != "STAR" and item["alias"]:
                computed.add(item["alias"])
        computed.update(item["key"] for item in part.get("replace_list", ()))
        renamed += [(item["key"]["column"], item["value"]) for item in part.get("rename_list", ())]
    # A computed column may be renamed further out, and again.
    for _ in renamed:
        computed.update(new for old, new in renamed if old in computed)
    return frozenset(computed)


@functools.lru_cache(maxsize=16)
def _parse(query: str) -> dict[str, Any]:
    import duckdb

    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as connection:
        row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True, "error_message": "can't be parsed"}
    return tree


def _problem_of(query: str, tree: dict[str, Any]) -> str:
    if tree.get("error_type") != "parser":
        return "not a SELECT"
    position = int(tree.get("position") or 0)
    line = query.count("\n", 0, position) + 1
    return f"{tree['error_message']} (line {line} of the query)"


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Walk through every node of a parsed query."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
