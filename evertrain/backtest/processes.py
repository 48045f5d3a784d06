"""Owns the processes of this machine that work pieces out side by side."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType

from evertrain.backtest.pieces import MADE, Fit, FitMade, Made, Piece
from evertrain.child_process import ChildProcess, Trade
from evertrain.errors import ServiceError
from evertrain.settings import Settings, dump_settings
from evertrain.storage import Store

_TRADE = Trade(
    module="evertrain.backtest.child",
    runs="a piece of the backtest",
    gives="answer",
    advice="Choose a longer --every, or learn from fewer rows.",
)


class Processes:
    """So many processes at most, each started when there is something for it to do; see ``Makers``.

    Args:
        store: Where they keep what they work out.
        settings: What they are allowed.
        most: How many work at once.
        patience_seconds: How long a piece may take; a model that takes longer counts as one that failed.
    """

    def __init__(self, store: Store, settings: Settings, most: int, patience_seconds: float) -> None:
        self._store, self._settings = store, settings
        self._patience_seconds = patience_seconds
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="backtest")
        self._idle: SimpleQueue[ChildProcess] = SimpleQueue()
        self._all: list[ChildProcess] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread that waits for a child is freed by the child's end.
        for each in self._all:
            if each.is_running:
                os.kill(each.pid, signal.SIGKILL)
        self._threads.shutdown(wait=True, cancel_futures=True)
        for each in self._all:
            each.close()

    def make_all(self, pieces: Sequence[Piece]) -> Iterator[tuple[int, Made]]:
        """See ``Makers``."""
        waiting: dict[Future[Made], int] = {
            self._threads.submit(self._make, piece): place for place, piece in enumerate(pieces)
        }
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for each in done:
                yield waiting.pop(each), each.result()

    def _make(self, piece: Piece) -> Made:
        child = self._take_child()
        asked = {
            "piece": piece.model_dump(mode="json"),
            "store": self._store.where,
            "settings": dump_settings(self._settings),
        }
        try:
            found = child.wait(child.ask(asked))
        except ServiceError as ended:
            # What took too long, or more memory than there is, may be this one model's fault.
            if child.is_running or not isinstance(piece, Fit):
                raise
            return FitMade(failed=ended.message)
        finally:
            if child.is_running:
                self._idle.put(child)
        return MADE[piece.kind].model_validate(found.value)

    def _take_child(self) -> ChildProcess:
        with suppress(Empty):
            return self._idle.get_nowait()
        child = ChildProcess(_TRADE, timeout_seconds=self._patience_seconds)
        self._all.append(child)
        return child
