"""Owns the small process that renews a claim's lease: no long fit can starve it, it ends with its parent."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from evertrain.child_process import child_environment
from evertrain.errors import ServiceError, StorageError
from evertrain.orphans import end_with_parent
from evertrain.storage import Store, attach_store

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 5.0


@contextmanager
def keep_beating(store: Store, key: str, every_seconds: float) -> Iterator[int]:
    """Overwrite *key* now, and every *every_seconds* from a process of its own, until the block ends.

    Yields:
        The process's id.

    Raises:
        StorageError: The first beat can't be written.
        ServiceError: The process can't be started.
    """
    store.put(key, _beat(0))
    process = _start(store.where, key, every_seconds)
    try:
        yield process.pid
    finally:
        _stop(process)


def beat_until_parent_ends(store: Store, key: str, every_seconds: float, parent: int, line: int) -> None:
    """Overwrite *key* every *every_seconds*, until process *parent* is gone.

    Args:
        store: Where.
        key: The lease.
        every_seconds: How often.
        parent: The process that must be this one's parent.
        line: A file descriptor on which the parent, while it lives, says nothing.
    """
    number = 0
    while not _has_ended(parent, line, every_seconds):
        number += 1
        try:
            store.put(key, _beat(number))
        except StorageError as cause:
            # The next beat may succeed; if none does, the lease runs out, as it should.
            _log.warning("beat %d of %s failed: %s", number, key, cause)


def main(arguments: Sequence[str]) -> None:
    """Run as ``python -m evertrain.heartbeat STORE KEY SECONDS PARENT``, a pipe from the parent as input."""
    where, key, every_seconds, parent = arguments
    beat_until_parent_ends(attach_store(where), key, float(every_seconds), int(parent), sys.stdin.fileno())


def _beat(number: int) -> bytes:
    return json.dumps({"beat": number, "pid": os.getpid()}).encode()


def _start(where: str, key: str, every_seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "evertrain.heartbeat"]
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, where, key, str(every_seconds), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            # A Ctrl-C in the terminal is the parent's to answer.
            start_new_session=True,
        )
    except OSError as cause:
        raise ServiceError(
            f"Can't start the process that keeps {key} alive: {cause}. End some processes, then try again.",
            key=key,
        ) from cause


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        # Closes its input, which is how it learns of the end.
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _has_ended(parent: int, line: int, within_seconds: float) -> bool:
    """Watch the parent for *within_seconds*: its end closes the line, unless a forked child holds it open."""
    deadline = time.monotonic() + within_seconds
    while os.getppid() == parent:
        left_seconds = deadline - time.monotonic()
        if left_seconds <= 0:
            return False
        readable, _, _ = select.select([line], [], [], min(left_seconds, _LOOK_SECONDS))
        if readable:
            return True
    return True


if __name__ == "__main__":
    # A store that doesn't answer may hold a beat up for minutes; the parent's end must not wait for it.
    end_with_parent(int(sys.argv[4]))
    main(sys.argv[1:])
