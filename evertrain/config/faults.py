"""Owns what is said of a wrong configuration: one fault a line, all of them in one go."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from evertrain.errors import ConfigError
from evertrain.records import Record

SPELLED_LIMIT = 80
LISTED_LIMIT = 25
PLAIN_KEY = re.compile(r"[\w-]+")
CREDENTIALS = re.compile(r"://[^/@\s\"]*@")

Path = tuple[str | int, ...]


class Fault(Record):
    """One wrong place: where it is, what stands there, what may stand there."""

    path: str
    found: str
    expected: str

    @property
    def line(self) -> str:
        """The fault in one line."""
        return f"{self.path}: {self.found}; expected {self.expected}"


def fault_at(path: Sequence[str | int], found: str, expected: str) -> Fault:
    """Build the fault at *path*, given as keys and list positions."""
    return Fault(path=spell_path(path), found=found, expected=expected)


def refuse(origin: str, faults: Iterable[Fault]) -> None:
    """Raise all *faults* of *origin* as one error, in the order of their paths; none: do nothing.

    Raises:
        ConfigError: There are faults; its attribute ``faults`` lists each one's path, found and expected.
    """
    found = list(dict.fromkeys(faults))
    if not found:
        return
    head = f"{origin}: 1 fault" if len(found) == 1 else f"{origin}: {len(found)} faults"
    lines = "".join(f"\n  {fault.line}" for fault in found)
    raise ConfigError(f"{head}{lines}", faults=[fault.model_dump() for fault in found], file=origin)


def spell_path(path: Sequence[str | int]) -> str:
    """Spell a path as the YAML's reader would: ``promotion.strategy.steps[2]``."""
    text = ""
    for element in path:
        if isinstance(element, int):
            text += f"[{element}]"
        elif PLAIN_KEY.fullmatch(element):
            text += f".{element}" if text else element
        else:
            text += f"[{json.dumps(element, ensure_ascii=False)}]"
    return text


def spell_value(value: Any) -> str:
    """Spell what was found as JSON, in at most 80 characters and without a URL's user and password."""
    text = CREDENTIALS.sub("://…@", json.dumps(value, ensure_ascii=False))
    return text if len(text) <= SPELLED_LIMIT else text[: SPELLED_LIMIT - 1] + "…"


def name_known(name: str, known: Iterable[str]) -> str:
    """Say which names are *known*, and which of them *name* may have been meant for."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    if len(names) > LISTED_LIMIT:
        return f"one of {len(names)} names, from {min(names)} to {max(names)}{hint}"
    return f"one of {', '.join(names)}{hint}" if names else "none here"
