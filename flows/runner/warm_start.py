"""Owns the runner's end of a zygote: starts it, has it fork a flow run, learns what became of each."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from uuid import UUID

from evertrain.child_process import child_environment
from evertrain.liveness import started_at

ZYGOTE = ("-P", "-m", "flows.runner.zygote")
LOOK_SECONDS = 0.5
LAST_SECONDS = 5.0
logger = logging.getLogger("evertrain.runner")
_LAST_BYTES = 2000


@dataclass(frozen=True)
class Order:
    """A flow run to start: its id, variables beside the runner's own, a folder for what it leaves."""

    run_id: UUID
    environment: Mapping[str, str]
    folder: Path


@dataclass
class Child:
    """The process of a flow run.

    Attributes:
        pid: None until it is known.
        unwanted: Whether it is being ended: nothing is to begin in its place.
        ended: Its exit code, or the negative signal; None where nobody was there to be told.
    """

    pid: int | None = None
    unwanted: bool = False
    ended: asyncio.Future[int | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, status: int | None) -> None:
        """Take down how it ended; the first word stands."""
        if not self.ended.done():
            self.ended.set_result(status)


class NotWarm(Exception):
    """A flow run couldn't be started by the zygote; says why."""


class Zygote:
    """One zygote process, as the runner sees it.

    Args:
        process: Runs ``flows.runner.zygote``.
        said: What it prints.
    """

    def __init__(self, process: asyncio.subprocess.Process, said: IO[bytes]) -> None:
        self._process = process
        self._said = said
        self._children: dict[UUID, Child] = {}
        self._started: dict[UUID, asyncio.Future[None]] = {}
        self.is_ready = False
        self.fault: str | None = None
        """How it ended; None while it runs."""
        self.seconds = 0.0
        """What its imports took."""
        self.over = asyncio.create_task(self._listen(), name="zygote")
        """Done when the process has ended, and every flow run that it started."""

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @classmethod
    async def start(cls, lifeline: int, words: Sequence[str] = ZYGOTE) -> Zygote:
        """Start a zygote; it is of use once ``is_ready``.

        Args:
            lifeline: A file descriptor that comes to its end with the runner.
            words: What the interpreter runs.

        Raises:
            NotWarm: The process can't be started.
        """
        said = tempfile.TemporaryFile()  # noqa: SIM115 - as long-lived as the process
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *words,
                str(lifeline),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=said,
                env=child_environment(is_killable=True),
                pass_fds=(lifeline,),
                start_new_session=True,
            )
        except OSError as cause:
            said.close()
            raise NotWarm(f"it can't be started: {cause}") from cause
        return cls(process, said)

    async def fork(self, order: Order, child: Child, within_seconds: float) -> None:
        """Fork *child* for a flow run; returns once the run is under way.

        Raises:
            NotWarm: The zygote, or the child before it began, ended or kept still for *within_seconds*; the
                child is gone then.
        """
        if self.fault is not None:
            raise NotWarm(self.fault)
        started = self._started[order.run_id] = asyncio.get_running_loop().create_future()
        self._children[order.run_id] = child
        self._ask(order)
        try:
            await asyncio.wait([started], timeout=within_seconds)
            if not started.done():
                raise NotWarm(f"its child did nothing for {within_seconds:.0f} s")
            started.result()
        except BaseException:
            if child.pid is None:
                # Not forked yet, and not to be forked later: its run begins elsewhere.
                self.kill()
            kill(child.pid)
            raise
        finally:
            del self._started[order.run_id]

    def retire(self) -> None:
        """Let it end once the flow runs that it started have."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """End it at once; the flow runs that it started go on."""
        if self._process.returncode is None:
            self._process.kill()

    def _ask(self, order: Order) -> None:
        asked = {
            "run": str(order.run_id),
            "environment": dict(order.environment),
            "folder": str(order.folder),
        }
        assert self._process.stdin is not None
        # Where it has ended, ``_listen`` says so to whoever awaits the answer.
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")

    async def _listen(self) -> None:
        reading = asyncio.create_task(self._read(), name="zygote's answers")
        # Neither the end of its output nor asyncio's ``wait`` tell that it has ended: a child that keeps
        # still holds the output open.
        while self._process.returncode is None:
            await asyncio.sleep(LOOK_SECONDS / 5)
        await asyncio.wait([reading], timeout=LOOK_SECONDS)
        self.fault = f"it ended {spell_end(self._process.returncode)}{spell_words(self._said)}"
        self._said.close()
        for started in self._started.values():
            if not started.done():
                started.set_exception(NotWarm(self.fault))
        await asyncio.gather(*(watch_from_afar(child) for child in self._children.values()))
        await asyncio.wait([reading], timeout=LAST_SECONDS)
        reading.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._hear(json.loads(line))

    def _hear(self, told: dict[str, object]) -> None:
        match told:
            case {"ready": True, "seconds": float(seconds)}:
                self.is_ready, self.seconds = True, seconds
                logger.info("the runner is warm: runs begin at once (imports took %.1f s)", seconds)
            case {"forked": str(run), "pid": int(pid)}:
                self._children[UUID(run)].pid = pid
            case {"started": str(run)}:
                self._settle(UUID(run), None)
            case {"refused": str(run), "why": str(why)}:
                self._settle(UUID(run), NotWarm(why))
            case {"ended": str(run), "status": int(status)}:
                # With an exit code, it has said itself what is wrong, and it isn't that it was forked.
                why = f"its child ended {spell_end(status)} before it began"
                self._settle(UUID(run), NotWarm(why) if status < 0 else None)
                self._children.pop(UUID(run)).end(status)

    def _settle(self, run_id: UUID, fault: NotWarm | None) -> None:
        started = self._started.get(run_id)
        if started is None or started.done():
            return
        if fault is None:
            started.set_result(None)
        else:
            started.set_exception(fault)


async def start_fresh(order: Order, child: Child, lifeline: int) -> None:
    """Start *child* as a process that imports what it needs by itself; returns once it runs.

    Raises:
        OSError: It can't be started.
    """
    with (order.folder / "words").open("ab") as words:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "flows.runner.run_one",
            str(order.run_id),
            str(lifeline),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env={**child_environment(is_killable=True), **order.environment},
            pass_fds=(lifeline,),
            start_new_session=True,
        )
    child.pid = process.pid
    waiting = asyncio.create_task(process.wait(), name=f"run {order.run_id}")
    waiting.add_done_callback(lambda done: child.end(None if done.cancelled() else done.result()))


async def watch_from_afar(child: Child) -> None:
    """Await the end of a process whose parent is gone: how it ends, nobody is told."""
    while child.pid is not None and started_at(child.pid) is not None:
        await asyncio.sleep(LOOK_SECONDS)
    child.end(None)


def kill(pid: int | None, how: int = 9) -> None:
    """Send a signal to a process, which may have ended."""
    if pid is None:
        return
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return


def spell_end(status: int | None) -> str:
    """Say how a process ended, for people."""
    if status is None:
        return "without saying how"
    if status >= 0:
        return f"with exit code {status}"
    return f"by signal {-status}{' (is there enough memory?)' if status == -9 else ''}"


def spell_words(words: IO[bytes]) -> str:
    """Give the last line that a process printed, if any."""
    end = words.seek(0, os.SEEK_END)
    words.seek(max(0, end - _LAST_BYTES))
    lines = [line.strip() for line in words.read().decode(errors="replace").splitlines() if line.strip()]
    return f"; its last words: {lines[-1][:300]}" if lines else ""
