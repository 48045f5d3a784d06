"""Owns several processes that answer on one port: started together, each replaced when it dies."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from evertrain.errors import ServiceError
from evertrain.orphans import end_with_parent
from serving.fleet import Fleet
from serving.retries import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from serving.worker import DRAIN_SECONDS, Work, answer

READY_SECONDS = 60.0
STEADY_SECONDS = 10.0
"""A worker that lived this long is replaced at once; one that died sooner, after a pause that grows."""

_log = logging.getLogger(__name__)
# The workers have all that this process imported, and their memory is shared until it is written to.
_fork = multiprocessing.get_context("fork")


@dataclass
class _Worker:
    """One place for a worker, whoever fills it."""

    number: int
    process: BaseProcess
    words: Connection
    began_seconds: float = field(default_factory=time.monotonic)
    pause_seconds: float = FIRST_PAUSE_SECONDS


class Workers:
    """Processes that share a listening socket; as a context they are started and ended.

    Call it from a process with one thread: each worker is a fork of it.

    Args:
        work: What each of them does.
        listener: Listens already.
        count: How many.
    """

    def __init__(self, work: Work, listener: socket.socket, count: int) -> None:
        self._work = work
        self._listener = listener
        self._count = count
        self._workers: list[_Worker] = []
        self._due: dict[int, float] = {}

    @contextmanager
    def running(self) -> Iterator[list[str]]:
        """Run them while the block does; gives what the first of them serves, in words, once all are ready.

        Raises:
            ServiceError: One of them wasn't ready in time, or died first.
        """
        with _shared_metrics():
            # What takes long to import is imported once, before the forks.
            import uvicorn  # noqa: F401

            import serving.app  # noqa: F401

            try:
                self._workers = [self._start(number) for number in range(self._count)]
                served = [self._await_ready(worker) for worker in self._workers]
                yield served[0]
            finally:
                self._end()

    def keep(self, look_after: Callable[[], None] = lambda: None) -> None:
        """Replace workers that die, for ever; a signal's exception ends it.

        Args:
            look_after: Called twice a second: what else has to be kept alive.
        """
        while True:
            look_after()
            wait([worker.process.sentinel for worker in self._workers], timeout=0.5)
            for place, worker in enumerate(self._workers):
                if not worker.process.is_alive():
                    self._workers[place] = self._replace(worker)

    def _start(self, number: int) -> _Worker:
        words, telling = _fork.Pipe(duplex=False)
        process = _fork.Process(
            target=_be_worker, args=(self._work, self._listener, telling, number, os.getpid()), daemon=True
        )
        process.start()
        telling.close()
        return _Worker(number, process, words)

    def _await_ready(self, worker: _Worker) -> list[str]:
        if not worker.words.poll(READY_SECONDS):
            raise ServiceError(
                f"A worker of the service wasn't ready after {READY_SECONDS:.0f} s; the log above says why. "
                "Try with --workers 1."
            )
        try:
            served: list[str] = worker.words.recv()
        except EOFError as cause:
            worker.process.join(1)
            raise ServiceError(
                f"A worker of the service ended at its start ({_ending(worker.process)}); the log above says "
                "why. Try with --workers 1."
            ) from cause
        return served

    def _replace(self, dead: _Worker) -> _Worker:
        # Here: what the Prometheus client shares between processes is settled when it is imported.
        from prometheus_client.multiprocess import mark_process_dead

        lived = time.monotonic() - dead.began_seconds
        pause = FIRST_PAUSE_SECONDS if lived > STEADY_SECONDS else dead.pause_seconds
        mark_process_dead(dead.process.pid)  # type: ignore[no-untyped-call]
        _log.warning("A worker died (%s); another one takes its place.", _ending(dead.process))
        if lived <= STEADY_SECONDS:
            time.sleep(pause)
        dead.words.close()
        fresh = self._start(dead.number)
        fresh.pause_seconds = min(2 * pause, LONGEST_PAUSE_SECONDS)
        return fresh

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + DRAIN_SECONDS + 1
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _be_worker(work: Work, listener: socket.socket, telling: Connection, number: int, parent: int) -> None:
    # A Ctrl-C in the terminal is the parent's to answer.
    os.setsid()
    end_with_parent(parent)
    if number:
        # All of them follow the same journals: one of them tells.
        logging.getLogger("serving.follower").setLevel(logging.WARNING)

    def tell(fleet: Fleet) -> None:
        telling.send([str(served) for served in fleet.loaded()])
        telling.close()

    # What the server's own end by a signal leaves behind.
    with suppress(KeyboardInterrupt):
        answer(work, listener, tell)


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """Let the workers' counters add up: each keeps them in a file, /metrics of any of them reads all."""
    with tempfile.TemporaryDirectory(prefix="evertrain-metrics-") as folder:
        # The Prometheus client looks for it when it is imported.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


def _ending(process: BaseProcess) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
