"""Owns how one process fared in the last half hour: a ring of counts for each arm, fed by every request."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil

SLOT_SECONDS = 10
SLOTS = 180
POINT_SLOTS = 3
POINTS = SLOTS // POINT_SLOTS
LATELY_SLOTS = 6
# From 0.1 ms to 13 s, four to an octave: a quantile is off by a tenth at most.
BOUNDS_SECONDS = tuple(1e-4 * 2 ** (step / 4) for step in range(69))
_NO_COUNTS = bytes(array("I").itemsize * (len(BOUNDS_SECONDS) + 1))


class _Slot:
    """Ten seconds of one arm."""

    __slots__ = ("errors", "number", "refused", "requests", "seconds")

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = self.refused = self.errors = 0
        self.seconds = array("I", _NO_COUNTS)


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


class History:
    """The last half hour by model and arm. One thread counts, any may look.

    Its size is bounded: 60 kB an arm that was asked in every ten seconds.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_seconds = clock()
        self._arms: dict[tuple[str, str], deque[_Slot]] = {}

    def count(self, model: str, arm: str, code: int, seconds: float) -> None:
        """Count one request, in less than a microsecond.

        Args:
            model: What it asked for; "" where there was none.
            arm: Which arm answered or refused it; "" where none was chosen.
            code: The answer's HTTP status.
            seconds: From its headers to its answer.
        """
        number = int(self._clock() - self._began_seconds) // SLOT_SECONDS
        slots = self._arms.get((model, arm))
        if slots is None:
            slots = self._arms[model, arm] = deque((_Slot(number),), maxlen=SLOTS)
        slot = slots[-1]
        if slot.number != number:
            slot = _Slot(number)
            slots.append(slot)
        slot.requests += 1
        if code < 400:
            slot.seconds[bisect_right(BOUNDS_SECONDS, seconds)] += 1
        elif code < 500:
            slot.refused += 1
        else:
            slot.errors += 1

    @property
    def age_seconds(self) -> float:
        """For how long it has counted."""
        return self._clock() - self._began_seconds

    def arms(self, model: str) -> list[str]:
        """The arms of *model* that were asked in the last half hour."""
        oldest = self._number - SLOTS
        # A copy of the keys: whoever counts may add one meanwhile.
        asked = [arm for name, arm in tuple(self._arms) if name == model]
        return sorted(arm for arm in asked if self._arms[model, arm][-1].number > oldest)

    def lately(self, model: str, *arms: str) -> Point:
        """The last minute of *arms* together, the seconds that have just begun included."""
        return self._up_to_now(model, arms, LATELY_SLOTS)

    def whole(self, model: str, *arms: str) -> Point:
        """The last half hour of *arms* together."""
        return self._up_to_now(model, arms, SLOTS)

    def points(self, model: str, arm: str) -> list[Point]:
        """The half hour before the present ten seconds, in points of 30 s, oldest first.

        A service that is younger has fewer; the oldest is shorter where it began within it.
        """
        last = self._number - 1
        count = min(POINTS, ceil((last + 1) / POINT_SLOTS))
        within: list[list[_Slot]] = [[] for _ in range(count)]
        for slot in self._slots(model, arm):
            place = (last - slot.number) // POINT_SLOTS
            if 0 <= place < count:
                within[place].append(slot)
        lengths = [min(POINT_SLOTS, last + 1 - place * POINT_SLOTS) for place in range(count)]
        merged = [_merge(slots, each * SLOT_SECONDS) for slots, each in zip(within, lengths, strict=True)]
        return merged[::-1]

    @property
    def _number(self) -> int:
        return int(self.age_seconds) // SLOT_SECONDS

    def _slots(self, model: str, arm: str) -> tuple[_Slot, ...]:
        # One step of the interpreter: no other thread adds a slot within it.
        return tuple(self._arms.get((model, arm), ()))

    def _up_to_now(self, model: str, arms: Iterable[str], slots: int) -> Point:
        age = self.age_seconds
        first = int(age) // SLOT_SECONDS - slots + 1
        # A service that has just begun isn't busier than it is: its first requests count for a second.
        length = max(1.0, age - max(0, first) * SLOT_SECONDS)
        found = (slot for arm in arms for slot in self._slots(model, arm) if slot.number >= first)
        return _merge(found, length)


def _merge(slots: Iterable[_Slot], length_seconds: float) -> Point:
    found = list(slots)
    counts = [sum(column) for column in zip(*(slot.seconds for slot in found), strict=True)]
    return Point(
        length_seconds=length_seconds,
        requests=sum(slot.requests for slot in found),
        refused=sum(slot.refused for slot in found),
        errors=sum(slot.errors for slot in found),
        p50_seconds=_quantile(counts, 0.5),
        p95_seconds=_quantile(counts, 0.95),
    )


def _quantile(counts: list[int], share: float) -> float | None:
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
