"""Owns the end of a child process whose parent is gone, kill -9 included."""

from __future__ import annotations

import os
import signal
import threading
import time

POLL_SECONDS = 0.5


def end_with_parent(parent: int) -> None:
    """Watch from a thread that *parent* is still this process's parent; end this process when it isn't.

    A terminate signal comes first, so that a server can close what it holds open; two seconds later the
    process ends whatever it does.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent-watch").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(4 * POLL_SECONDS)
    os._exit(1)
