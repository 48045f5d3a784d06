"""Owns the process that a challenger lives in: it compares what it is offered, and ends with its parent."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from evertrain.bundles import Bundle, check_golden, load_bundle
from evertrain.columns import Values
from evertrain.errors import EvertrainError
from evertrain.orphans import end_with_parent
from evertrain.storage import attach_store
from serving.shadow.comparison import Answer, Comparison, Spread, compare_answers
from serving.shadow.frames import WORDS, Offer, Reply, read_frame, read_offers, send_frame

TELL_EVERY_SECONDS = 0.1
"""So often a long piece of work says how far it is: by that a slow model is told from one that hangs."""
LOADING_BYTES = 4 << 30
"""What loading may take; what the model may take from then on is the service's to say."""
NICENESS = 10
"""Where they share a core, whoever waits for an answer goes first."""


def compare_offers(
    channel: socket.socket, load: Callable[[], Bundle], answer_seconds: float, memory_bytes: int
) -> None:
    """Load a challenger, and hold it against every request that comes; only how they compare is sent back.

    Args:
        channel: To the service; its end is the end.
        load: Gives the challenger.
        answer_seconds: This process ends by itself twice as long after a request has begun: where a model
            keeps the interpreter to itself, no thread could see that the service is gone.
        memory_bytes: How much address space it may take beyond what it had when the challenger was loaded.
    """
    allowed_bytes = LOADING_BYTES
    try:
        _allow_memory(allowed_bytes)
        bundle = load()
        allowed_bytes = memory_bytes
        _allow_memory(allowed_bytes)
        comparing = _Comparing(channel, bundle)
        comparing.tell()
        while lines := read_frame(channel):
            for offer in read_offers(lines):
                # Of the kernel, and nobody handles it: it ends the process whatever that does.
                signal.setitimer(signal.ITIMER_REAL, 2 * answer_seconds)
                comparing.compare(offer)
            signal.setitimer(signal.ITIMER_REAL, 0)
            comparing.tell_rest()
    except MemoryError:
        # What can't be had once is missing at the next request too; a new process begins with nothing.
        _say_goodbye(channel, f"it needs more than the {allowed_bytes >> 20} MiB of memory that it may take")
    except EvertrainError as error:
        _say_goodbye(channel, error.message)
    except Exception as error:  # whatever it is, the service's log should say it
        _say_goodbye(channel, f"{type(error).__name__}: {error}")


def _say_goodbye(channel: socket.socket, reason: str) -> None:
    # Where nobody listens any more, nobody needs to be told.
    with suppress(OSError):
        send_frame(channel, Reply(ended=reason[:WORDS]).model_dump_json().encode())


class _Comparing:
    """Compares requests one by one, and says what came of them.

    Args:
        channel: Where it is said.
        bundle: The challenger.
    """

    def __init__(self, channel: socket.socket, bundle: Bundle) -> None:
        self._channel = channel
        self._bundle = bundle
        self._spread = Spread()
        self._forget()

    def compare(self, offer: Offer) -> None:
        """Hold the challenger against one request."""
        stable = offer.stable.prediction
        self._requests += 1
        if stable.values is not None:
            self._spread = self._spread.widen(stable.values)
        try:
            answer = self._answer(offer.columns)
            self._compared.append(compare_answers(offer.stable, answer, self._spread.scale))
        except MemoryError:
            raise
        except Exception as error:  # a model may raise anything; the next request is another one
            told = error.message if isinstance(error, EvertrainError) else f"{type(error).__name__}: {error}"
            self._failure = told[:WORDS]
            numbers = stable.values if stable.codes is None else stable.codes
            self._failed += 0 if numbers is None else len(numbers)
        if time.monotonic() >= self._due_seconds:
            self.tell()

    def tell(self) -> None:
        """Say what came of the requests since it was said last."""
        reply = Reply(
            requests=self._requests,
            compared=sum(each.rows for each in self._compared),
            failed=self._failed,
            compared_requests=len(self._compared),
            disagreeing=sum(each.disagreeing for each in self._compared),
            score_shift=sum(each.score_shift for each in self._compared),
            slower=sum(each.is_slower for each in self._compared),
            failure=self._failure,
        )
        send_frame(self._channel, reply.model_dump_json().encode())
        self._forget()

    def tell_rest(self) -> None:
        """Say what came of the requests of which nothing was said yet, where there are any."""
        if self._requests:
            self.tell()

    def _answer(self, columns: Mapping[str, Values]) -> Answer:
        # The thread's own time: this process is often made to wait for one that goes first.
        began = time.thread_time()
        prediction = self._bundle.predict(columns)
        return Answer(prediction, self._bundle.signature.classes, time.thread_time() - began)

    def _forget(self) -> None:
        self._requests = self._failed = 0
        self._compared: list[Comparison] = []
        self._failure = ""
        self._due_seconds = time.monotonic() + TELL_EVERY_SECONDS


def _allow_memory(more_bytes: int) -> None:
    """Let this process take so much more address space; where that can't be told, as much as it was let."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + more_bytes
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _give_way() -> None:
    """Go last in all things: for the cores, and first where the machine has to end someone for memory."""
    os.nice(NICENESS)
    # A model that crashes again and again must not fill the disk with its cores.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def load_challenger(store: str, digest: str) -> Bundle:
    """Load a bundle that is what its digest says and answers its golden rows as when it was made.

    Raises:
        BundleRefused: It isn't, or doesn't.
        StorageError: The store can't be read.
    """
    bundle = load_bundle(attach_store(store), digest)
    # Also warms it.
    check_golden(bundle)
    return bundle


def main() -> None:
    """Be the challenger that the arguments name: by its channel, parent, digest and limits."""
    descriptor, parent, digest, answer_seconds, memory_bytes = sys.argv[1:]
    end_with_parent(int(parent))
    _give_way()
    with socket.socket(fileno=int(descriptor)) as channel:
        compare_offers(
            channel,
            lambda: load_challenger(os.environ["EVERTRAIN_STORE"], digest),
            float(answer_seconds),
            int(memory_bytes),
        )


if __name__ == "__main__":
    main()
