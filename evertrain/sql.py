"""Owns the quoting of names and texts in SQL."""

from __future__ import annotations


def quote_name(name: str) -> str:
    """Quote *name* as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Quote *text* as a literal."""
    return "'" + text.replace("'", "''") + "'"
