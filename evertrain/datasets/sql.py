"""Owns the quoting of names, texts and paths in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def quote_name(name: str) -> str:
    """Quote *name* as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Quote *text* as a literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_paths(paths: Iterable[Path]) -> str:
    """A list literal of *paths*, absolute; what is magic in one is quoted, for DuckDB takes globs."""
    return f"[{', '.join(quote_text(_without_magic(path)) for path in paths)}]"


def allowed_paths(paths: Iterable[Path]) -> str:
    """A list literal of all spellings that reading ``quote_paths`` needs leave for."""
    texts = [text for path in paths for text in (str(path.absolute()), _without_magic(path))]
    return f"[{', '.join(quote_text(text) for text in dict.fromkeys(texts))}]"


def _without_magic(path: Path) -> str:
    return "".join(
        f"[{character}]" if character in "*?[" else character for character in str(path.absolute())
    )
