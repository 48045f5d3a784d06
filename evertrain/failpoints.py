"""Owns the named places where a test may kill this process; unset, ``EVERTRAIN_FAILPOINT`` costs nothing."""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "EVERTRAIN_FAILPOINT"

# A place is counted per process, so the count can only live here; outside of kill tests it stays empty.
_hits: Counter[str] = Counter()
_victims: list[int] = []


def kill_too(process: int) -> None:
    """Have a failpoint in this process end *process* before it: the one that this one works for."""
    _victims.append(process)


def failpoint(name: str) -> None:
    """End this process with SIGKILL if the environment asks for it here.

    Args:
        name: The place. ``EVERTRAIN_FAILPOINT=name`` kills at the first passage, ``name:3`` at the third.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, _, passage = wanted.partition(":")
    if place != name:
        return
    _hits[name] += 1
    if _hits[name] == int(passage or 1):
        for victim in (*_victims, os.getpid()):
            os.kill(victim, signal.SIGKILL)
