"""Owns the end of ``up``'s parts when ``up`` itself is gone without ending them, kill -9 included."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

import psutil

GRACE_SECONDS = 2.0


class Watchdog:
    """A process that reads which processes are to end with this one: at the end of its input it ends them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.up.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            # What ends this process by its terminal must not end its watchdog.
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Have *pid* and its descendants end with this process."""
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """Leave *pid* alone: it has ended, and another process may bear its number."""
        self._tell(f"-{pid}")

    def close(self) -> None:
        """End the watchdog, and whatever it still watches."""
        with suppress(BrokenPipeError):
            self._input.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):
            self._input.write(f"{line}\n")
            self._input.flush()

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin


def find_tree(pid: int) -> list[psutil.Process]:
    """Find a process and all its descendants; those whose parent is gone already can't be told."""
    try:
        root = psutil.Process(pid)
        return [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return []


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill *processes*; one that is gone, or whose number another one bears now, is none of them."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def main() -> None:
    """Read pids to watch (``+pid``) and to forget (``-pid``); end what is left when the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line.startswith("+"):
            watched.add(pid)
        else:
            watched.discard(pid)
    end_trees(watched)


def end_trees(pids: Iterable[int]) -> None:
    """End each process and its descendants: politely, and two seconds later for good."""
    trees = [process for pid in pids for process in find_tree(pid)]
    for process in trees:
        with suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(process.is_running() for process in trees) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill_all(process for pid in pids for process in find_tree(pid))
    kill_all(trees)


if __name__ == "__main__":
    main()
