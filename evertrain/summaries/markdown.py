"""Owns the Markdown that a CI system shows, and writing to the files it names."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from evertrain.errors import StorageError

MOST_CHARACTERS = 600
_log = logging.getLogger(__name__)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~$&])")


def write_text(path: Path, text: str, *, mode: str) -> None:
    """Write *text* to *path*, its folder made; raises StorageError where it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        raise StorageError(
            f"{path} can't be written ({reason}); name a file in a folder you may write to."
        ) from cause


def append_text(variable: str, path: Path, text: str) -> None:
    """Append *text* to the file that the environment's *variable* names.

    Where it can't be written there is a warning: what the run decided stands, whoever is told of it.
    """
    try:
        write_text(path, text, mode="a")
    except StorageError as error:
        _log.warning("%s: %s", variable, error.message)


def spell_table(head: list[str], rows: list[list[str]]) -> str:
    """Lay out a Markdown table; the cells are escaped already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def spell_number(value: float | None) -> str:
    """Write a number with five digits; nothing for none."""
    return "" if value is None else f"{value:.5g}"


def escape(text: str) -> str:
    """Make *text* one line of plain Markdown, cut at 600 characters."""
    line = one_line(text)
    short = line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1]}…"
    return _MARKDOWN.sub(r"\\\1", short)


def one_line(text: str) -> str:
    """Put *text* on one line."""
    return " ".join(text.split())
