"""Owns the tables of benchmarks/README.md: each is written by the script that measured it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def spell_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Spell a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def write_section(name: str, text: str, readme: Path = README) -> None:
    """Put *text* between the marks of *name* in the README.

    Raises:
        ValueError: The marks aren't there, or not once.
    """
    begin, end = f"<!-- {name}: written by its script -->", f"<!-- end of {name} -->"
    page, found = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{text}\n{end}",
        readme.read_text("utf-8"),
        flags=re.DOTALL,
    )
    if found != 1:
        raise ValueError(f"{readme} has {found} places for {name}; expected one")
    readme.write_text(page, "utf-8")
