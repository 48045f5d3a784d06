"""Owns trying again: work that may fail, told in one line and put off a little longer each time."""

from __future__ import annotations

import logging
from collections.abc import Callable

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0

_log = logging.getLogger(__name__)

Clock = Callable[[], float]


class Retry:
    """One kind of work in the background, and how it fared.

    Args:
        failing: How the log's line begins when it fails.
        clock: Monotonic seconds.
    """

    def __init__(self, failing: str, clock: Clock) -> None:
        self._failing = failing
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget past failures: the next attempt is made at once, the next failure is told."""
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._due_at_seconds = self._clock()
        self._told = ""

    def attempt(self, work: Callable[[], None]) -> None:
        """Do *work* unless its last failure is too recent; a failure is logged, the same one only once."""
        if self._clock() < self._due_at_seconds:
            return
        try:
            work()
        except Exception as error:  # the service goes on with what it has, whatever fails behind it
            self._put_off(error)
        else:
            self.reset()

    def _put_off(self, error: Exception) -> None:
        line = f"{self._failing}: {error or type(error).__name__}"
        if line != self._told:
            _log.warning("%s Serving goes on as before; trying again.", line)
            self._told = line
        self._due_at_seconds = self._clock() + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
