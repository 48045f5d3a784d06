"""Owns a rollout's labels while it is walked: read and judged beside the walk, which must go on beating."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from evertrain.errors import EvertrainError
from evertrain.release.state import Rollout
from evertrain.rollout.moves import Pairs
from evertrain.rollout.verdicts import ArmsJudged

READ_SECONDS = 30.0
"""How often the labels are read."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """What was read last.

    Attributes:
        rollout: Of which.
        look: Which look at the arms it was read for.
        rows: Labelled rows: of the arm that has fewer, or of a shadow.
        judged: What both arms' rows show; None where they aren't due to be judged.
        pairs: Of a shadow: who was right where; None where the strategy is another.
    """

    rollout: int
    look: int
    rows: int
    judged: ArmsJudged | None = None
    pairs: Pairs | None = None


class LabelWatch:
    """Reads what labels say of a rollout now and then, in a thread of its own.

    Args:
        read: Reads it.
        clock: Monotonic seconds.
    """

    def __init__(
        self, read: Callable[[Rollout], Labelled], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "labels")
        self._running: Future[Labelled] | None = None
        self._read_at_seconds = clock()
        self._last: Labelled | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def look(self, rollout: Rollout) -> Labelled | None:
        """What was read last for the look that comes next; None while nothing was."""
        self._collect()
        if self._running is None and self._clock() >= self._read_at_seconds:
            self._read_at_seconds = self._clock() + READ_SECONDS
            self._running = self._thread.submit(self._read, rollout)
        wanted = (rollout.number, rollout.looks + 1)
        last = self._last
        return last if last is not None and (last.rollout, last.look) == wanted else None

    def _collect(self) -> None:
        if self._running is None or not self._running.done():
            return
        running, self._running = self._running, None
        try:
            self._last = running.result()
        except EvertrainError as cause:
            _log.warning("The labels can't be read now: %s They are read again.", cause.message)
