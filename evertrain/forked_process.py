"""Owns a process that is forked off this one, and so has all that it imported; from outside it is a Popen."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from subprocess import TimeoutExpired
from typing import IO, NoReturn

POLL_SECONDS = 0.01


class ForkedProcess:
    """A child that reads one pipe and writes another; has what ``child_process`` uses of a ``Popen``.

    It is forked where no other thread of this process holds a lock, for that would be held in it for ever.

    Args:
        work: What it does, given this process's id.
        words: Receives what it prints.
        folder: Where its temporary files are; it removes them at its end.

    Raises:
        OSError: No process can be made.
    """

    def __init__(self, work: Callable[[int], None], words: IO[bytes], folder: str) -> None:
        self.args = ("fork", work.__module__)
        asked, asking = os.pipe()
        answered, answering = os.pipe()
        parent = os.getpid()
        try:
            with warnings.catch_warnings():
                # Of other threads, which the caller has looked after.
                warnings.simplefilter("ignore", DeprecationWarning)
                self.pid = os.fork()
        except OSError:
            for each in (asked, asking, answered, answering):
                os.close(each)
            raise
        if self.pid == 0:
            _be_child(lambda: work(parent), (asked, answering, words.fileno()), folder)
        for each in (asked, answering):
            os.close(each)
        self.stdin: IO[bytes] = os.fdopen(asking, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(answered, "rb", buffering=0)
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or the negative signal; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Await its end; raises TimeoutExpired after *timeout* seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutExpired(self.args, timeout or 0.0)
            time.sleep(POLL_SECONDS)
        return code

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def exit_code_of(work: Callable[[], None]) -> int:
    """Do *work*; gives the code that a process which does nothing else ends with, its traceback printed."""
    try:
        work()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _be_child(work: Callable[[], None], standard: tuple[int, int, int], folder: str) -> NoReturn:
    def begin() -> None:
        # A Ctrl-C in the terminal is the parent's to answer.
        os.setsid()
        for place, opened in enumerate(standard):
            os.dup2(opened, place)
        os.environ["TMPDIR"], tempfile.tempdir = folder, None
        # The parent's log handlers have threads, which aren't here.
        logging.disable(logging.CRITICAL)
        work()

    code = 1
    try:
        code = exit_code_of(begin)
        sys.stderr.flush()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        # Whatever comes between, a terminate signal too: what follows in the program is the parent's to do.
        os._exit(code)
