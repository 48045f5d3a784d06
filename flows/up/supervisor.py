"""Owns the watch over ``up``'s parts: started, restarted when they die, heard in one log, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from evertrain.errors import ServiceError
from flows.up.parts import Part
from flows.up.watchdog import Watchdog, find_tree, kill_all

READY_SECONDS = 300.0
STEADY_SECONDS = 60.0
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""How long a part that died is waited for; a part that dies once more is given up."""

LOOK_SECONDS = 0.1
OTHERS_END_SECONDS = 3.0
KILL_SECONDS = 4.0
LAST_LINES = 8
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str, str], None]


class Stopped(Exception):
    """The user has asked to end everything."""


class Running:
    """A part and the process that it is just now."""

    def __init__(self, part: Part, process: subprocess.Popen[str]) -> None:
        self.part = part
        self.deaths = 0
        self.is_ready = False
        self.last_words: deque[str] = deque(maxlen=LAST_LINES)
        self.restart_at: float | None = None
        self.begin(process)

    def begin(self, process: subprocess.Popen[str]) -> None:
        """Take *process* for the part's."""
        self.process = process
        self.began = time.monotonic()
        self.restart_at = None
        self.is_ready = False

    def how_it_ended(self) -> str:
        """Say how its process ended."""
        code = self.process.returncode
        return f"with exit code {code}" if code >= 0 else f"by signal {-code}"


class Supervisor:
    """Keeps parts running until a signal comes, or one of them can't be kept.

    Args:
        say: Shows one line of a part.
        watchdog: Ends what this process leaves behind when it is killed.
    """

    def __init__(self, say: Say, watchdog: Watchdog) -> None:
        self._say = say
        self._watchdog = watchdog
        self._running: list[Running] = []
        self._stop = threading.Event()
        self._hurry = threading.Event()

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Take Ctrl-C, SIGTERM and a closed terminal for the wish to end, while the block runs."""
        before = {number: signal.signal(number, self._heed) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, part: Part) -> None:
        """Start *part*."""
        self._running.append(Running(part, part.start()))
        self._listen(self._running[-1])

    def wait_until_ready(self, parts: Sequence[Part]) -> None:
        """Wait until *parts* answer; those that die meanwhile are restarted.

        Raises:
            Stopped: A signal came.
            ServiceError: One can't be kept, or doesn't answer.
        """
        deadline = time.monotonic() + READY_SECONDS
        while True:
            self.look()
            waiting = [each for each in self._running if each.part in parts and not each.is_ready]
            if not waiting:
                return
            if time.monotonic() > deadline:
                name = waiting[0].part.name
                raise ServiceError(
                    f"{name} doesn't answer within {READY_SECONDS:.0f} s.{self._words_of(name)} "
                    "See what the log says, then try again."
                )
            self.pause()

    def watch(self) -> None:
        """Watch over the parts until a signal comes.

        Raises:
            Stopped: A signal came.
            ServiceError: One can't be kept.
        """
        while True:
            self.look()
            self.pause()

    def pause(self, seconds: float = LOOK_SECONDS) -> None:
        """Wait a little.

        Raises:
            Stopped: A signal came.
        """
        if self._stop.wait(seconds):
            raise Stopped

    def look(self) -> None:
        """Look once at each part: see its death, and restart it when its pause is over.

        Raises:
            ServiceError: One has died too often.
        """
        for running in self._running:
            if running.restart_at is not None:
                if time.monotonic() >= running.restart_at:
                    running.begin(running.part.start())
                    self._listen(running)
            elif running.process.poll() is not None:
                self._see_death(running)
            elif not running.is_ready and running.part.answers():
                running.is_ready = True
                if running.deaths:
                    self._say(running.part.name, "is up again")

    def stop(self) -> None:
        """End all parts within five seconds: those that need others first, and by force after four."""
        began = time.monotonic()
        alive = [running for running in self._running if running.process.poll() is None]
        trees = [process for running in alive for process in find_tree(running.process.pid)]
        last = [running for running in alive if running.part.leaves_last]
        first = [running for running in alive if running not in last]
        for group, until in ((first, OTHERS_END_SECONDS), (last, KILL_SECONDS)):
            for running in group:
                _ask_to_end(running)
            while not self._hurry.is_set() and time.monotonic() < began + until:
                if all(running.process.poll() is not None for running in group):
                    break
                time.sleep(LOOK_SECONDS / 2)
        # What they left behind too.
        kill_all([process for running in alive for process in find_tree(running.process.pid)])
        kill_all(trees)
        for running in alive:
            running.process.wait()
            self._watchdog.forget(running.process.pid)

    def _see_death(self, running: Running) -> None:
        name = running.part.name
        self._watchdog.forget(running.process.pid)
        lived_seconds = time.monotonic() - running.began
        running.deaths = 1 if lived_seconds > STEADY_SECONDS else running.deaths + 1
        ended = f"ended {running.how_it_ended()}"
        if running.deaths > len(PAUSES_SECONDS):
            raise ServiceError(
                f"{name} {ended}, {running.deaths} times in a row; it is given up, and all else "
                f"ends with it.{self._words_of(name)}"
            )
        pause = PAUSES_SECONDS[running.deaths - 1]
        running.restart_at = time.monotonic() + pause
        self._say(name, f"{ended}; it is started again in {pause:.0f} s")

    def _listen(self, running: Running) -> None:
        self._watchdog.watch(running.process.pid)
        threading.Thread(target=self._pass_on, args=(running, running.process), daemon=True).start()

    def _pass_on(self, running: Running, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if text := line.rstrip():
                    running.last_words.append(text)
                    if running.is_ready or not running.part.starts_silently:
                        self._say(running.part.name, text)

    def _words_of(self, name: str) -> str:
        words = [word for each in self._running if each.part.name == name for word in each.last_words]
        return f" Its last words: {' | '.join(words)}" if words else ""

    def _heed(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()


def _ask_to_end(running: Running) -> None:
    pid = running.process.pid
    with suppress(ProcessLookupError):
        if running.part.in_group:
            os.killpg(pid, signal.SIGTERM)
        else:
            os.kill(pid, signal.SIGTERM)
