"""Owns how a long run says where it is: records of the logger ``evertrain.steps``, for all who listen."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from evertrain.failpoints import failpoint

STEPS = logging.getLogger("evertrain.steps")


@dataclass
class StepNote:
    """What a step has to say of itself once it is done."""

    text: str = ""


@contextmanager
def step(name: str, seconds: dict[str, float]) -> Iterator[StepNote]:
    """Announce a step, time it into ``seconds[name]``, and say what it came to.

    Each log record bears ``step`` and ``phase`` (started, done, failed) for those who draw progress.
    """
    note = StepNote()
    began = time.perf_counter()
    STEPS.info("%s …", name, extra={"step": name, "phase": "started"})
    try:
        yield note
    except BaseException:
        STEPS.info("%s failed", name, extra={"step": name, "phase": "failed"})
        raise
    seconds[name] = round(time.perf_counter() - began, 3)
    told = f": {note.text}" if note.text else ""
    facts = {"step": name, "phase": "done", "note": note.text, "seconds": seconds[name]}
    STEPS.info("%s%s (%.1f s)", name, told, seconds[name], extra=facts)
    failpoint(f"after-{name}")
