"""Owns reading the lines of a write-ahead file again, in the process that ships them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

SLOW_MARK = b" "
"""Begins a line that orjson couldn't write as it is: it couldn't read it as it is either."""

_log = logging.getLogger(__name__)


def read_lines(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Read *lines* one by one, without a last one that a kill cut off.

    Others that can't be read, as after a loss of power, are passed over, and the log says how many.

    Args:
        lines: Each with its line break, as an open file gives them.
    """
    broken = 0
    for line in lines:
        if not line.endswith(b"\n"):
            break
        try:
            facts = json.loads(line) if line.startswith(SLOW_MARK) else orjson.loads(line)
        except ValueError:
            facts = None
        if isinstance(facts, dict):
            yield facts
        else:
            broken += 1
    if broken:
        _log.warning("%d lines of the prediction log can't be read and are passed over.", broken)
