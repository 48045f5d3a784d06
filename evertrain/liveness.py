"""Owns who a process is (host, pid, start) and whether it still runs; knows nothing of claims."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_ENDED = frozenset("ZXx")


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, told apart from every other one that ever bore its pid.

    Attributes:
        host: Host name, for people.
        host_id: Host name, boot and pid namespace: equal means that pids can be compared.
        pid: Process id within that namespace.
        started: Clock ticks since boot (no clock change moves them) where ``/proc`` is, else epoch seconds.
    """

    host: str
    host_id: str
    pid: int
    started: float


def identify_process(pid: int | None = None) -> ProcessIdentity:
    """Describe a running process of this host, by default this one.

    Raises:
        ProcessLookupError: No such process runs.
    """
    number = os.getpid() if pid is None else pid
    started = started_at(number)
    if started is None:
        raise ProcessLookupError(f"no process {number} runs on this host")
    return ProcessIdentity(socket.gethostname(), host_id(), number, started)


def is_running(process: ProcessIdentity) -> bool | None:
    """Whether *process* still runs; None if it belongs to another host. A zombie counts as gone."""
    if process.host_id != host_id():
        return None
    return started_at(process.pid) == process.started


def started_at(pid: int, proc: Path = PROC) -> float | None:
    """When the process *pid* started, as in ProcessIdentity; None if it is gone or a zombie."""
    if not (proc / "self").exists():
        return _started_by_psutil(pid)
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in parentheses and may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in _ENDED else float(fields[19])


def _started_by_psutil(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


@functools.cache
def host_id() -> str:
    """Name this host, its boot and its pid namespace: where this is equal, pids can be compared."""
    return f"{socket.gethostname()}/{_boot_id(PROC)}/{_pid_namespace(PROC)}"


@functools.cache
def host_tag() -> str:
    """A short name for ``host_id()`` that fits in a file name."""
    return hashlib.sha256(host_id().encode()).hexdigest()[:12]


def _boot_id(proc: Path) -> str:
    try:
        return (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def _pid_namespace(proc: Path) -> str:
    try:
        return str((proc / "self/ns/pid").readlink())
    except OSError:
        return "-"
