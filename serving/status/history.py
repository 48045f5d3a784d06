"""Owns how a service fared in the last half hour: fed by every request, looked at as a whole."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from serving.status.rings import ERRORS, LATENCIES, NUMBER, REFUSED, REQUESTS, SLOTS, Key, Rings

SLOT_SECONDS = 10
POINT_SLOTS = 3
POINTS = (SLOTS - 1) // POINT_SLOTS
LATELY_SLOTS = 6
# From 0.1 ms to 13 s, four to an octave: a quantile is off by a tenth at most.
BOUNDS_SECONDS = tuple(1e-4 * 2 ** (step / 4) for step in range(69))
CELLS = LATENCIES + len(BOUNDS_SECONDS) + 1
_EMPTY_SLOT = memoryview(bytes(4 * CELLS)).cast("I")

Slots = dict[int, Sequence[int]]
"""The slots of one arm by their number, each a row of cells."""


class History:
    """Counts the requests of one process. One thread counts, any may look.

    An arm takes 53 kB, however much is asked.

    Args:
        clock: Monotonic seconds, the same for all processes of the service.
        folder: Where the processes of one service find each other's counts; None: there is only this one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, folder: Path | None = None) -> None:
        self._clock = clock
        self._rings = Rings(CELLS, folder)
        self._began_seconds = self._rings.note_begin(clock())
        self._own: dict[Key, memoryview] = {}

    def count(self, model: str, arm: str, code: int, seconds: float) -> None:
        """Count one request, in less than a microsecond.

        Args:
            model: What it asked for; "" where there was none.
            arm: Which arm answered or refused it; "" where none was chosen.
            code: The answer's HTTP status.
            seconds: From its headers to its answer.
        """
        number = int(self._clock()) // SLOT_SECONDS
        ring = self._own.get((model, arm))
        if ring is None:
            ring = self._own[model, arm] = self._rings.make((model, arm), number)
        start = number % SLOTS * CELLS
        if ring[start] != number:
            ring[start : start + CELLS] = _EMPTY_SLOT
            ring[start + NUMBER] = number
        ring[start + REQUESTS] += 1
        if code < 400:
            ring[start + LATENCIES + bisect_right(BOUNDS_SECONDS, seconds)] += 1
        else:
            ring[start + (REFUSED if code < 500 else ERRORS)] += 1

    def look(self) -> HalfHour:
        """The last half hour of all processes together, as it is now."""
        now = self._clock()
        oldest = int(now) // SLOT_SECONDS - SLOTS
        found: dict[Key, Slots] = {}
        for key, cells in self._rings.read():
            if cells[NUMBER] > oldest:
                slots = found.setdefault(key, {})
                same = slots.get(cells[NUMBER])
                slots[cells[NUMBER]] = cells if same is None else _add(same, cells)
        return HalfHour(now, self._began_seconds, found)


@dataclass(frozen=True)
class Point:
    """How an arm fared for some time.

    Attributes:
        length_seconds: How long that was.
        requests: How many requests it was asked.
        refused: How many of them were their callers' mistake (4xx), which includes callers who left.
        errors: How many of them were the service's failure (5xx).
        p50_seconds: What the faster half of the answers took at most; None where there was no answer.
        p95_seconds: The same of 95 %.
    """

    length_seconds: float
    requests: int
    refused: int
    errors: int
    p50_seconds: float | None
    p95_seconds: float | None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.length_seconds

    @property
    def error_share(self) -> float | None:
        """The share of errors in [0, 1]; None where nothing was asked."""
        return self.errors / self.requests if self.requests else None


@dataclass(frozen=True)
class HalfHour:
    """The last half hour at one moment.

    Attributes:
        now_seconds: That moment, monotonic.
        began_seconds: When the service began.
        slots: Of each arm that was asked, those in which it was.
    """

    now_seconds: float
    began_seconds: float
    slots: dict[Key, Slots]

    @property
    def age_seconds(self) -> float:
        """How long ago the service began."""
        return self.now_seconds - self.began_seconds

    def arms(self, model: str) -> list[str]:
        """The arms of *model* that were asked."""
        return sorted(arm for name, arm in self.slots if name == model)

    def lately(self, model: str, *arms: str) -> Point:
        """The last minute of *arms* together, the seconds that have just begun included."""
        return self._up_to_now(model, arms, LATELY_SLOTS)

    def whole(self, model: str, *arms: str) -> Point:
        """The half hour of *arms* together."""
        return self._up_to_now(model, arms, SLOTS)

    def points(self, model: str, arm: str) -> list[Point]:
        """The half hour before the present ten seconds, in points of 30 s, oldest first.

        A service that is younger has fewer; the oldest is shorter where it began within it.
        """
        end, slots = self._number, self.slots.get((model, arm), {})
        count = min(POINTS, ceil((end * SLOT_SECONDS - self.began_seconds) / (POINT_SLOTS * SLOT_SECONDS)))
        points = []
        for last in range(end, end - count * POINT_SLOTS, -POINT_SLOTS):
            first = last - POINT_SLOTS
            within = [slots[number] for number in range(first, last) if number in slots]
            began = max(first * SLOT_SECONDS, self.began_seconds)
            points.append(_merge(within, max(1.0, last * SLOT_SECONDS - began)))
        return points[::-1]

    @property
    def _number(self) -> int:
        return int(self.now_seconds) // SLOT_SECONDS

    def _up_to_now(self, model: str, arms: Iterable[str], count: int) -> Point:
        first = self._number - count + 1
        began = max(first * SLOT_SECONDS, self.began_seconds)
        found = [
            cells
            for arm in arms
            for number, cells in self.slots.get((model, arm), {}).items()
            if number >= first
        ]
        # A service that has just begun isn't busier than it is: its first requests count for a second.
        return _merge(found, max(1.0, self.now_seconds - began))


def _merge(found: Sequence[Sequence[int]], length_seconds: float) -> Point:
    sums = [sum(column) for column in zip(*found, strict=True)] or [0] * CELLS
    return Point(
        length_seconds=length_seconds,
        requests=sums[REQUESTS],
        refused=sums[REFUSED],
        errors=sums[ERRORS],
        p50_seconds=_quantile(sums[LATENCIES:], 0.5),
        p95_seconds=_quantile(sums[LATENCIES:], 0.95),
    )


def _add(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """The sum of the same slot of two processes."""
    return [one[NUMBER], *(a + b for a, b in zip(one[1:], other[1:], strict=True))]


def _quantile(counts: Sequence[int], share: float) -> float | None:
    """The time within which *share* of the counted answers came; between two bounds it is interpolated."""
    left = share * sum(counts)
    if not left:
        return None
    place = 0
    while counts[place] < left:
        left -= counts[place]
        place += 1
    if place == len(BOUNDS_SECONDS):
        return BOUNDS_SECONDS[-1]
    low = BOUNDS_SECONDS[place - 1] if place else 0.0
    return low + (BOUNDS_SECONDS[place] - low) * left / counts[place]
