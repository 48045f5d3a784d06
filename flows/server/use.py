"""Owns who uses a home's Prefect server: a shared lock that each user holds, and that is gone with it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from evertrain.errors import ServiceError

USE = "server.use"
START = "server.lock"
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05
TEXT_LIMIT = 120


@dataclass(frozen=True)
class User:
    """A process that uses the server, as its owner would know it again."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})"


@contextmanager
def using(prefect_home: Path) -> Iterator[None]:
    """Hold the server in use while the block runs; waits where one is just ending.

    Raises:
        ServiceError: It still ends after a minute.
        OSError: The folder can't be written.
    """
    with _open(prefect_home / USE) as file:
        _lock_in_time(file, fcntl.LOCK_SH)
        # A use that is over before the server looks again counts too.
        os.utime(file.name)
        yield


@contextmanager
def starting(prefect_home: Path) -> Iterator[None]:
    """Be the only one that looks for the server and starts one, while the block runs.

    Raises:
        ServiceError: Another does so for over a minute.
        OSError: The folder can't be written.
    """
    with _open(prefect_home / START) as file:
        _lock_in_time(file, fcntl.LOCK_EX)
        yield


@contextmanager
def unused(prefect_home: Path) -> Iterator[bool]:
    """Keep users out while the block runs; gives False, and keeps nobody out, where there are some.

    Raises:
        FileNotFoundError: Nobody ever used a server of this home.
    """
    # Not made here: a server whose home was deleted is not to bring it back.
    with (prefect_home / USE).open("r+", encoding="ascii") as file:
        yield _try_lock(file, fcntl.LOCK_EX)


def unused_for_seconds(prefect_home: Path) -> float:
    """How long ago the latest user came."""
    return max(0.0, time.time() - (prefect_home / USE).stat().st_mtime)


def note_use(prefect_home: Path) -> None:
    """Have the latest use be now."""
    with suppress(FileNotFoundError):
        os.utime(prefect_home / USE)


def find_users(prefect_home: Path, server: int) -> list[User]:
    """Find who uses the server just now, this process and *server*, its own, left out."""
    import psutil

    path = str((prefect_home / USE).resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid in (os.getpid(), server):
                continue
            if any(each.path == path for each in process.open_files()):
                found.append(User(process.pid, spell_command(process.cmdline())))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def spell_command(words: list[str]) -> str:
    """Spell a command line as it was typed, as far as that can be told."""
    if words and Path(words[0]).name.startswith("python"):
        words = words[1:]
    if words[:2] == ["-m", "evertrain.cli"]:
        words = ["evertrain", *words[2:]]
    # A word may be a whole script.
    spelled = " ".join(" ".join([Path(words[0]).name, *words[1:]]).split()) if words else "a process"
    return spelled[:TEXT_LIMIT]


def _open(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="ascii")


def _lock_in_time(file: IO[str], kind: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not _try_lock(file, kind):
        if time.monotonic() > deadline:
            raise ServiceError(
                f"Another process holds {file.name} for over {WAIT_SECONDS:.0f} s: it starts or ends this "
                "home's Prefect server. End the server with `evertrain down`, then try again."
            )
        time.sleep(POLL_SECONDS)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
