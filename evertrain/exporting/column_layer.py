"""Owns the column layer as one file of its own: the very code that serves, without evertrain around it."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

from evertrain import columns, spelling

_HEAD = '''\
"""The rules from raw columns to model inputs: evertrain's own code, the same that serves; numpy only."""

from __future__ import annotations


class InvalidInput(ValueError):
    """A row is wrong; ``field`` names the column."""

    def __init__(self, message, *, field, **attributes):
        super().__init__(message)
        self.field = field


'''


def spell_column_layer() -> str:
    """Put the two modules of the column layer into one text, their imports of evertrain left out."""
    return _HEAD + "\n\n".join(_without_evertrain(module).strip() + "\n" for module in (spelling, columns))


def _without_evertrain(module: ModuleType) -> str:
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if _is_left_out(node):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "".join(lines)


def _is_left_out(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return str(node.module).startswith(("evertrain", "__future__"))
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    return isinstance(node, ast.Expr) and node.col_offset == 0 and node.lineno == 1
