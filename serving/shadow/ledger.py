"""Owns what waits for the challenger and what became of it: every row is in one count, at any time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from evertrain.rollout.reports import ShadowTotals
from serving.shadow.frames import Reply


@dataclass(frozen=True)
class ShadowCounts(ShadowTotals):
    """What became of the offers of one service process since its start; rows, unless said otherwise.

    Attributes:
        offered: At any time ``compared + failed + dropped + under_way``.
        under_way: In the queue, or with the challenger.
        restarts: How often the challenger's process was started again.
        has_given_up: Whether it won't be again; what is offered from then on is dropped.
    """

    offered: int = 0
    under_way: int = 0
    restarts: int = 0
    has_given_up: bool = False


class Waiting(NamedTuple):
    """A request that waits to be compared: its rows, and its line in a frame."""

    rows: int
    line: bytes


class Ledger:
    """A queue that is bounded in bytes, and the counts of all that ever came; for any number of threads.

    Args:
        most_bytes: How much may be under way; what comes beyond it is dropped.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._queue: deque[Waiting] = deque()
        self._is_closed = False
        self._lock = threading.Lock()
        self._counts = ShadowCounts()
        self._offered = self._dropped = 0

    @property
    def has_room(self) -> bool:
        """Whether a request has a chance: where not, it needn't be spelled."""
        return not self._is_closed and self._bytes < self._most_bytes

    def add(self, rows: int, line: bytes) -> None:
        """Take a request in; without a line, or without room for it, it is dropped."""
        with self._lock:
            self._offered += rows
            if not line or self._is_closed or self._bytes + len(line) > self._most_bytes:
                self._dropped += rows
            else:
                self._bytes += len(line)
                self._queue.append(Waiting(rows, line))

    def take(self, most_bytes: int) -> list[Waiting]:
        """Take out the oldest requests, of about *most_bytes*; they stay under way."""
        with self._lock:
            taken: list[Waiting] = []
            size = 0
            while self._queue and size < most_bytes:
                taken.append(self._queue.popleft())
                size += len(taken[-1].line)
        return taken

    def settle(self, done: Sequence[Waiting], reply: Reply) -> None:
        """Count what the challenger made of *done*."""
        with self._lock:
            self._release(done)
            counts = self._counts
            self._counts = replace(
                counts,
                compared=counts.compared + reply.compared,
                failed=counts.failed + reply.failed,
                disagreeing=counts.disagreeing + reply.disagreeing,
                score_shift_sum=counts.score_shift_sum + reply.score_shift,
                requests=counts.requests + reply.compared_requests,
                slower=counts.slower + reply.slower,
            )

    def fail(self, lost: Sequence[Waiting]) -> None:
        """Count *lost* as failed: the challenger had them, and nothing came back."""
        with self._lock:
            failed = self._counts.failed + self._release(lost)
            self._counts = replace(self._counts, failed=failed)

    def drop(self, lost: Sequence[Waiting]) -> None:
        """Count *lost* as dropped: the service is over."""
        with self._lock:
            self._dropped += self._release(lost)

    def count_restart(self) -> None:
        """Count that the challenger is started again."""
        with self._lock:
            self._counts = replace(self._counts, restarts=self._counts.restarts + 1)

    def close(self, *, has_given_up: bool = False) -> None:
        """Drop what waits and all that is still to come."""
        with self._lock:
            self._is_closed = True
            self._dropped += self._release(self._queue)
            self._queue.clear()
            self._counts = replace(self._counts, has_given_up=has_given_up)

    def counts(self) -> ShadowCounts:
        """How it stands."""
        with self._lock:
            counts, offered, dropped = self._counts, self._offered, self._dropped
        under_way = offered - dropped - counts.compared - counts.failed
        return replace(counts, offered=offered, dropped=dropped, under_way=under_way)

    def _release(self, requests: Iterable[Waiting]) -> int:
        rows = 0
        for each in requests:
            self._bytes -= len(each.line)
            rows += each.rows
        return rows
