"""Owns how the time that is replayed is cut: into spans of a fixed length, or into calendar months."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from evertrain.durations import parse_duration
from evertrain.errors import ConfigError

MONTH = "month"
MOST_PERIODS = 1_000


class Period(NamedTuple):
    """A span of time: a champion is chosen as of ``since``, and scored on what comes up to ``until``."""

    since: datetime
    until: datetime


def read_every(text: str) -> timedelta | None:
    """Read ``--every``: a duration; None for ``month``.

    Raises:
        ConfigError: It is neither, or no time at all.
    """
    if text == MONTH:
        return None
    try:
        every = parse_duration(text)
    except ValueError as cause:
        raise ConfigError(f"--every {text!r}: {cause}, or {MONTH}.") from cause
    if not every:
        raise ConfigError(f"--every {text!r}: expected a duration over 0s, or {MONTH}.")
    return every


def cut_periods(since: datetime, until: datetime, every: timedelta | None) -> tuple[Period, ...]:
    """Cut the time from *since* to *until*.

    A rest of less than half a period belongs to the last one: by itself it would be scored on few rows, and
    count as much as the others.

    Args:
        since: Where the first period begins; the first champion sees what came up to here.
        until: Where the last one ends.
        every: How long they are; None: a month of the calendar each.

    Raises:
        ConfigError: *until* isn't later, or the periods are too many.
    """
    if until <= since:
        raise ConfigError(
            f"--to {until:%Y-%m-%d} isn't later than --from {since:%Y-%m-%d}; nothing to replay."
        )
    edges = [since]
    while edges[-1] < until:
        if len(edges) > MOST_PERIODS:
            raise ConfigError(f"--every gives more than {MOST_PERIODS:,} periods; choose a longer one.")
        edges.append(_after(since, len(edges), every))
    whole = edges[-1] - edges[-2]
    if len(edges) > 2 and until - edges[-2] < whole / 2:
        edges.pop()
    return tuple(Period(*pair) for pair in pairwise([*edges[:-1], until]))


def _after(since: datetime, count: int, every: timedelta | None) -> datetime:
    if every is not None:
        return since + count * every
    months = since.month - 1 + count
    year, month = since.year + months // 12, months % 12 + 1
    return since.replace(year=year, month=month, day=min(since.day, monthrange(year, month)[1]))
