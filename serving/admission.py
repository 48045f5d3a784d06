"""Owns how many requests are scored at a time and how many may wait: the rest is told to come again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from serving.problems import OVERLOADED, Refusal

P = ParamSpec("P")
T = TypeVar("T")

# One computes while the other parses or spells: Python runs one thread at a time, ONNX Runtime any number.
THREADS = 2
WAITING = 40
RETRY_AFTER_SECONDS = 1


class Admission:
    """Scores in threads of its own, in the order of arrival.

    Where more is asked than can be answered, a longer queue only makes everyone wait for longer: those over
    *waiting* are refused at once, so that whoever is let in is answered in a bounded time.

    Args:
        waiting: How many requests may be under way or wait.
        threads: How many are scored at a time.
    """

    def __init__(self, waiting: int = WAITING, threads: int = THREADS) -> None:
        self._limit = waiting
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="evertrain-score")
        self.waiting = 0

    async def run(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Do *work* when its turn comes.

        Raises:
            Refusal: Too many wait already.
        """
        if self.waiting >= self._limit:
            raise Refusal(
                OVERLOADED,
                f"{self.waiting} requests wait to be scored already; try again shortly.",
                headers={"retry-after": str(RETRY_AFTER_SECONDS)},
            )
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: work(*args, **options))
        finally:
            self.waiting -= 1
