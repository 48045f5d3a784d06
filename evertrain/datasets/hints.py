"""Owns hints at what a user may have meant by a name that isn't there."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def name_closest(wanted: str, known: Sequence[str]) -> str:
    """Say which of *known* resemble *wanted*; where none does, say what there is, up to 20."""
    close = get_close_matches(wanted, known, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return f"there are: {', '.join(map(repr, known[:20]))}{more}."
