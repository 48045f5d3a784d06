"""Owns the processes of flow runs: forked by a warm zygote, or fresh where there is none; their ends."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from evertrain.liveness import started_at
from flows.runner.warm_start import (
    LOOK_SECONDS,
    ZYGOTE,
    Child,
    NotWarm,
    Order,
    Zygote,
    kill,
    spell_end,
    spell_words,
    start_fresh,
)

START_SECONDS = 30.0
KILL_SECONDS = 2.0
MOST_FAILURES = 3
QUIET_SECONDS = 2.0
"""How long the code must have been left alone until it is imported anew: an upgrade touches many files."""
PACKAGES = ("evertrain", "tasks", "flows")
ROOT = Path(__file__).parents[2]
logger = logging.getLogger("evertrain.runner")


@dataclass(frozen=True)
class Ending:
    """How the process of a flow run ended.

    Attributes:
        status: Its exit code, or the negative signal; None where nobody could say.
        text: The same for people, with its last words.
        warm: Whether it was forked.
    """

    status: int | None
    text: str
    warm: bool


class RunProcesses:
    """Runs flow runs in processes of their own, warm where possible; all end with this process.

    Use it as an async context manager.

    Args:
        start_seconds: How long a forked child may take until its run is under way.
        warm: Whether there is a zygote at all.
        words: What the zygote's interpreter runs.
    """

    def __init__(
        self, *, start_seconds: float = START_SECONDS, warm: bool = True, words: Sequence[str] = ZYGOTE
    ) -> None:
        self._start_seconds = start_seconds
        self._warm = warm
        self._words = words
        self._zygote: Zygote | None = None
        self._retired: set[Zygote] = set()
        self._failures = 0
        self._code = 0
        self._changed: float | None = None
        self._children: dict[UUID, Child] = {}
        self._lifeline, self._held = os.pipe()

    async def __aenter__(self) -> RunProcesses:
        """Start the zygote; runs may begin before it is ready."""
        if self._warm:
            await self._start_zygote()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every process at once."""
        for child in self._children.values():
            kill(child.pid, signal.SIGKILL)
        if self._zygote is not None:
            self._retire(self._zygote)
        for zygote in list(self._retired):
            zygote.kill()
        # Whatever is left, of which nothing is known, ends by this.
        os.close(self._held)
        await asyncio.gather(*(zygote.over for zygote in list(self._retired)))
        os.close(self._lifeline)

    @property
    def zygote(self) -> Zygote | None:
        """The zygote that the next run is forked from."""
        return self._zygote

    async def run(self, run_id: UUID, environment: Mapping[str, str]) -> Ending:
        """Run one flow run to its end.

        Args:
            run_id: A flow run in the state Pending.
            environment: What its process is to know beside this one's variables.

        Raises:
            OSError: No process can be started.
        """
        child = self._children[run_id] = Child()
        folder = Path(tempfile.mkdtemp(prefix="evertrain-run-"))
        order = Order(run_id, {**environment, "TMPDIR": str(folder)}, folder)
        try:
            warm = await self._fork(order, child)
            if not warm:
                child = self._children[run_id] = Child()
                await start_fresh(order, child, self._lifeline)
            status = await child.ended
            with (folder / "words").open("rb") as words:
                return Ending(status, spell_end(status) + spell_words(words), warm)
        finally:
            del self._children[run_id]
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def end(self, run_id: UUID, grace_seconds: float) -> None:
        """End one run's process by a terminate signal; kill it after *grace_seconds*."""
        deadline = time.monotonic() + grace_seconds
        told: Child | None = None
        while (child := self._children.get(run_id)) is not None and not child.ended.done():
            child.unwanted = True
            if time.monotonic() >= deadline:
                kill(child.pid, signal.SIGKILL)
                if child.pid is not None and started_at(child.pid) is None:
                    child.end(None)
            elif child is not told and child.pid is not None:
                kill(child.pid, signal.SIGTERM)
                told = child
            await asyncio.wait([child.ended], timeout=LOOK_SECONDS / 5)

    async def check(self) -> None:
        """Replace a zygote that has ended, or whose code has changed since it was started."""
        state = read_code_state()
        if self._zygote is not None and self._zygote.fault is not None:
            await self._replace(self._zygote.fault)
        elif self._zygote is not None and state != self._code:
            logger.info("the code has changed: runs begin in fresh processes until it is imported anew")
            self._retire(self._zygote)
            self._changed = time.monotonic()
        elif self._changed is not None:
            if state != self._code:
                self._changed = time.monotonic()
            elif time.monotonic() - self._changed > QUIET_SECONDS:
                await self._start_zygote()
        self._code = state

    async def _fork(self, order: Order, child: Child) -> bool:
        await self.check()
        zygote = self._zygote
        if zygote is None or not zygote.is_ready:
            return False
        try:
            await zygote.fork(order, child, self._start_seconds)
        except NotWarm as fault:
            if child.unwanted:
                child.end(None)
                return True
            if zygote is self._zygote:
                await self._replace(str(fault))
            return False
        self._failures = 0
        return True

    async def _replace(self, why: str) -> None:
        assert self._zygote is not None
        self._failures += 1
        self._retire(self._zygote)
        if self._failures >= MOST_FAILURES:
            logger.warning(
                "the warm process failed %d times, the last time because %s: every run begins in a fresh "
                "process from now on. Start the runner again to try anew.",
                self._failures,
                why,
            )
            return
        logger.warning(
            "the warm process failed: %s. Runs begin in fresh processes until it is replaced.", why
        )
        await self._start_zygote()

    async def _start_zygote(self) -> None:
        self._zygote = self._changed = None
        self._code = read_code_state()
        try:
            self._zygote = await Zygote.start(self._lifeline, self._words)
        except NotWarm as fault:
            logger.warning("there is no warm process, every run begins in a fresh one: %s", fault)

    def _retire(self, zygote: Zygote) -> None:
        zygote.retire()
        self._retired.add(zygote)
        zygote.over.add_done_callback(lambda _: self._retired.discard(zygote))
        self._zygote = None


def read_code_state(root: Path = ROOT) -> int:
    """Sum up the state of the code below *root*: an edited file or an upgrade of a library changes it."""
    files = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
    # Installing or removing a library touches the folder.
    installed = Path(sysconfig.get_path("purelib"))
    return hash(tuple((str(path), _modified_at(path)) for path in (installed, *files)))


def _modified_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
