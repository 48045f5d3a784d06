"""Owns an A/B test's labels while it is walked: read and judged beside the walk, which must go on beating."""

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
from evertrain.rollout.moves import is_due
from evertrain.rollout.verdicts import Arms, ArmsJudged, judge_arms

READ_SECONDS = 30.0
"""How often the labels are read."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """What was read last.

    Attributes:
        rows: Labelled rows of the arm that has fewer.
        look: Which look it was read for.
        judged: What they show; None where they aren't due to be judged.
    """

    rows: int
    look: int
    judged: ArmsJudged | None


class LabelWatch:
    """Reads the labels of both arms now and then, in a thread of its own.

    Args:
        read_arms: Reads what both arms answered and what happened.
        clock: Monotonic seconds.
    """

    def __init__(
        self, read_arms: Callable[[Rollout], Arms], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read_arms = read_arms
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
        fresh = self._last is not None and self._last.look == rollout.looks + 1
        return self._last if fresh else None

    def _collect(self) -> None:
        if self._running is None or not self._running.done():
            return
        running, self._running = self._running, None
        try:
            self._last = running.result()
        except EvertrainError as cause:
            _log.warning("The labels can't be read now: %s They are read again.", cause.message)

    def _read(self, rollout: Rollout) -> Labelled:
        arms = self._read_arms(rollout)
        rows, look = min(arms.stable.rows, arms.challenger.rows), rollout.looks + 1
        if rollout.metric is None or not is_due(rollout, rows):
            return Labelled(rows, look, None)
        share = rollout.percent / 100
        return Labelled(
            rows, look, judge_arms(arms, rollout.metric, share=share, look=look, seed=rollout.number)
        )
