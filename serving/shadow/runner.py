"""Owns the shadow of a service: a thread that feeds the challenger, and starts it again when it ends."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from evertrain.errors import ServiceError
from evertrain.predictions import Prediction
from evertrain.records import Signature
from serving.prediction_log.lines import spell_line
from serving.protocols import Columns
from serving.retries import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from serving.shadow.frames import offer_facts
from serving.shadow.ledger import Ledger, ShadowCounts, Waiting
from serving.shadow.process import ChallengerProcess

SEND_EVERY_SECONDS = 0.05
"""Requests are fed in some at once: a thread that wakes for each takes time from those who wait."""
AT_ONCE_BYTES = 64 << 10
"""What a challenger that ends takes with it at most, a large request aside."""
MOST_QUEUED_BYTES = 8 << 20
ANSWER_SECONDS = 5.0
MEMORY_BYTES = 512 << 20
MOST_RESTARTS = 5
STEADY_SECONDS = 10.0
"""A challenger that compared for so long may fall as often again, and is soon restarted when it does."""
STOP_SECONDS = 5.0
TELL_EVERY_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass
class Falls:
    """How often a challenger ended, and when it is started again.

    Attributes:
        most_restarts: After so many in a row there is no other.
        in_a_row: Ends without ``STEADY_SECONDS`` of comparing before them, up to now.
        pause_seconds: What is waited after the next one.
    """

    most_restarts: int
    in_a_row: int = 0
    pause_seconds: float = FIRST_PAUSE_SECONDS

    def next_pause(self, steady_seconds: float) -> float | None:
        """Count an end after *steady_seconds* of comparing; gives the pause before the next life, if any."""
        if steady_seconds > STEADY_SECONDS:
            self.in_a_row, self.pause_seconds = 0, FIRST_PAUSE_SECONDS
        self.in_a_row += 1
        pause_seconds = self.pause_seconds
        self.pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        return None if self.in_a_row > self.most_restarts else pause_seconds


class Shadow:
    """A challenger beside the service, in a process of its own; as a context it runs, fed by a thread.

    Whatever the challenger does, the service goes on as before: nothing waits for it, none of its answers
    ever leaves its process, and each row that is offered is compared, or counted as failed or dropped.

    Start it in the process that answers, once all forks are made.

    Args:
        store: Where the challenger's bundle is.
        digest: The bundle's.
        most_queued_bytes: How many bytes of requests may wait; those beyond it are dropped, and counted.
        answer_seconds: A challenger that finishes no request for so long hangs, and is ended.
        memory_bytes: How much memory it may take beyond what it has once it is loaded.
        most_restarts: After so many restarts without ``STEADY_SECONDS`` of comparing there is no other.
    """

    def __init__(
        self,
        store: str,
        digest: str,
        *,
        most_queued_bytes: int = MOST_QUEUED_BYTES,
        answer_seconds: float = ANSWER_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
        most_restarts: int = MOST_RESTARTS,
    ) -> None:
        self._store = store
        self._digest = digest
        self._answer_seconds = answer_seconds
        self._memory_bytes = memory_bytes
        self._falls = Falls(most_restarts)
        self._steady_seconds = 0.0
        self._ledger = Ledger(most_queued_bytes)
        self._challenger: ChallengerProcess | None = None
        self._told: dict[str, tuple[str, float]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evertrain-shadow", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        # Whoever waits for it is woken; one that is being started right now is ended by the thread itself.
        if (challenger := self._challenger) is not None:
            challenger.kill()
        self._thread.join(STOP_SECONDS)

    @property
    def pid(self) -> int | None:
        """The id of the challenger's process; None while there is none."""
        challenger = self._challenger
        return None if challenger is None else challenger.pid

    def offer(self, columns: Columns, prediction: Prediction, seconds: float, signature: Signature) -> None:
        """Take what stable was asked and answered; never waits and never raises.

        Args:
            columns: The features' raw values by name, n each.
            prediction: Stable's answer to the n rows.
            seconds: How long stable's model took.
            signature: Stable's: the classes that its codes stand for.
        """
        numbers = prediction.values if prediction.codes is None else prediction.codes
        rows = 0 if numbers is None else len(numbers)
        line = b""
        if self._ledger.has_room:
            # Here, some microseconds: a thread that spells takes more from those who wait for answers.
            line = self._spell(columns, prediction, seconds, signature)
        self._ledger.add(rows, line)

    def counts(self) -> ShadowCounts:
        """What became of all that was offered; never waits."""
        return self._ledger.counts()

    def _spell(self, columns: Columns, prediction: Prediction, seconds: float, signature: Signature) -> bytes:
        try:
            return spell_line(offer_facts(columns, prediction, signature.classes, seconds))
        except Exception as error:  # one request that has no spelling must not fail, nor end the shadow
            self._tell("spelling", f"it isn't offered a request: {type(error).__name__}: {error}")
            return b""

    def _run(self) -> None:
        has_given_up = False
        try:
            while not self._stopping.is_set() and not has_given_up:
                try:
                    self._live()
                except ServiceError as error:
                    has_given_up = not self._stopping.is_set() and not self._may_live_again(error)
        finally:
            self._ledger.close(has_given_up=has_given_up)

    def _live(self) -> None:
        """One life of the challenger's process; raises ServiceError at its end."""
        with ChallengerProcess(
            self._store, self._digest, self._answer_seconds, self._memory_bytes
        ) as challenger:
            self._challenger = challenger
            try:
                self._feed(challenger)
            finally:
                self._challenger = None

    def _feed(self, challenger: ChallengerProcess) -> None:
        if self._stopping.is_set():
            return
        challenger.await_ready()
        began = time.monotonic()
        while not self._stopping.is_set():
            taken = self._ledger.take(AT_ONCE_BYTES)
            if taken:
                self._compare(challenger, taken)
                self._steady_seconds = time.monotonic() - began
            else:
                challenger.check_running()
                self._stopping.wait(SEND_EVERY_SECONDS)

    def _compare(self, challenger: ChallengerProcess, taken: list[Waiting]) -> None:
        try:
            challenger.send(b"".join(each.line for each in taken))
            while taken:
                reply = challenger.await_reply(len(taken))
                done = taken[: reply.requests]
                if sum(each.rows for each in done) != reply.compared + reply.failed:
                    raise ServiceError("what it compared doesn't add up")
                self._ledger.settle(done, reply)
                taken = taken[reply.requests :]
                if reply.failure:
                    self._tell("failing", f"it fails on rows that stable answers: {reply.failure}")
        finally:
            if self._stopping.is_set():
                self._ledger.drop(taken)
            else:
                self._ledger.fail(taken)

    def _may_live_again(self, error: ServiceError) -> bool:
        """Wait before the next life; False where there is none."""
        pause_seconds = self._falls.next_pause(self._steady_seconds)
        self._steady_seconds = 0.0
        if pause_seconds is None:
            _log.error(
                "The shadow of bundle %s is over: %s, %d times in a row. The service answers as before; "
                "nothing is compared any more.",
                self._digest[:12],
                error.message,
                self._falls.in_a_row,
            )
            return False
        self._tell("ending", f"{error.message}. It is started again")
        self._stopping.wait(pause_seconds)
        self._ledger.count_restart()
        return True

    def _tell(self, about: str, words: str) -> None:
        last_words, due_seconds = self._told.get(about, ("", 0.0))
        # What a challenger fails of may read otherwise at each request.
        if words == last_words or time.monotonic() < due_seconds:
            return
        _log.warning(
            "The shadow of bundle %s: %s. The service answers as before.",
            self._digest[:12],
            words.rstrip("."),
        )
        self._told[about] = (words, time.monotonic() + TELL_EVERY_SECONDS)
