"""Owns a process that answers questions beside its parent: one line of JSON for each, both ends."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any, TypeAlias

from evertrain import errors
from evertrain.errors import EvertrainError, ServiceError
from evertrain.failpoints import VARIABLE
from evertrain.forked_process import ForkedProcess
from evertrain.orphans import end_with_parent

JSON: TypeAlias = Any
_STOP_SECONDS = 5.0
_LAST_LINES = 5
_LAST_BYTES = 4000


@dataclass(frozen=True)
class Trade:
    """What a child process does, for those who start it and are told of its end.

    Attributes:
        module: Runs as ``python -m MODULE PARENT``; its ``work_for`` the parent calls ``serve_parent``.
        runs: What it is there for, as in "the process that runs …".
        gives: What an answer is called, as in "gave no …".
        advice: What to do where it takes too long.
    """

    module: str
    runs: str
    gives: str
    advice: str


@dataclass(frozen=True)
class Answer:
    """What was answered, and how long that took, the waiting aside."""

    value: JSON
    seconds: float


class ChildProcess:
    """A process that starts at once, and then answers questions one after the other.

    Args:
        trade: What it does.
        timeout_seconds: How long an answer may take from when it was asked for, all before it included.
        words: What the interpreter runs, in place of the module.
        is_killable: Whether ``EVERTRAIN_FAILPOINT`` counts in the child, too.
        is_forked: Whether the child is forked, and has what this process imported; see ``ForkedProcess``.

    Raises:
        ServiceError: The process can't be started.
    """

    def __init__(
        self,
        trade: Trade,
        *,
        timeout_seconds: float,
        words: tuple[str, ...] = (),
        is_killable: bool = False,
        is_forked: bool = False,
    ) -> None:
        self._trade = trade
        self._timeout_seconds = timeout_seconds
        self._deadlines: list[float] = []
        self._answers: list[bytes] = []
        self._unfinished = b""
        self._last_output = tempfile.TemporaryFile()  # noqa: SIM115 - as long-lived as this object
        self._folder = tempfile.TemporaryDirectory(prefix="evertrain-child-")
        self._process = self._begin(words or ("-P", "-m", trade.module), is_killable, is_forked)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, question: JSON) -> int:
        """Put a question, which is answered after all before it.

        Returns:
            Its number, to await the answer by.

        Raises:
            ServiceError: The process reads nothing any more, and was ended.
        """
        deadline = time.monotonic() + self._timeout_seconds
        self._deadlines.append(deadline)
        # Where it has ended, what it said is told to whoever awaits the answer.
        with suppress(BrokenPipeError):
            self._send(json.dumps(question).encode() + b"\n", deadline)
        return len(self._deadlines) - 1

    def wait(self, number: int) -> Answer:
        """Await the answer to question *number*.

        Raises:
            EvertrainError: What the child raised on purpose, of the type that it had there.
            ServiceError: The process ended, or took too long.
        """
        while len(self._answers) <= number:
            self._answers.append(self._read_line(self._deadlines[len(self._answers)]))
        found = json.loads(self._answers[number])
        # An answer is awaited once; it may be long.
        self._answers[number] = b""
        if "error" in found:
            raise _rebuild(found["error"])
        return Answer(found["answer"], float(found["seconds"]))

    def close(self) -> None:
        """End the process, whatever it does, and remove its temporary files."""
        # By itself it would take a second or two to go, and it holds nothing that outlives it.
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._last_output):
            assert pipe is not None
            pipe.close()
        # A forked one has removed it by itself, where it could.
        self._folder.cleanup()

    def _begin(
        self, words: tuple[str, ...], is_killable: bool, is_forked: bool
    ) -> subprocess.Popen[bytes] | ForkedProcess:
        try:
            process = self._fork(is_killable) if is_forked else self._start(words, is_killable)
        except OSError as cause:
            self._last_output.close()
            self._folder.cleanup()
            raise ServiceError(
                f"Can't start the process that runs {self._trade.runs}: {cause}. End some processes, then "
                "try again."
            ) from cause
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _fork(self, is_killable: bool) -> ForkedProcess:
        module = importlib.import_module(self._trade.module)

        def work(parent: int) -> None:
            if not is_killable:
                os.environ.pop(VARIABLE, None)
            module.work_for(parent)

        return ForkedProcess(work, self._last_output, self._folder.name)

    def _start(self, words: tuple[str, ...], is_killable: bool) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, *words, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._last_output,
            bufsize=0,
            env=child_environment(is_killable=is_killable) | {"TMPDIR": self._folder.name},
            # A Ctrl-C in the terminal is this process's to answer.
            start_new_session=True,
        )

    def _send(self, line: bytes, deadline: float) -> None:
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        while line:
            left_seconds = max(0.0, deadline - time.monotonic())
            if not select.select([], [pipe], [], left_seconds)[1]:
                raise self._too_late()
            line = line[os.write(pipe, line) :]

    def _read_line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._unfinished:
            left_seconds = max(0.0, deadline - time.monotonic())
            if not select.select([pipe], [], [], left_seconds)[0]:
                raise self._too_late()
            piece = os.read(pipe, 1 << 16)
            if not piece:
                raise ServiceError(
                    f"The process that runs {self._trade.runs} ended {self._how_it_ended()} before it gave "
                    f"its {self._trade.gives}.{self._last_words()}"
                )
            self._unfinished += piece
        found, _, self._unfinished = self._unfinished.partition(b"\n")
        return found

    def _too_late(self) -> ServiceError:
        self._process.kill()
        self._process.wait()
        return ServiceError(
            f"{self._trade.runs} gave no {self._trade.gives} within {self._timeout_seconds:.0f} s; its "
            f"process was ended. {self._trade.advice}{self._last_words()}"
        )

    def _how_it_ended(self) -> str:
        code = self._process.wait(_STOP_SECONDS)
        if code >= 0:
            return f"with exit code {code}"
        return f"by signal {-code}{' (is there enough memory?)' if code == -9 else ''}"

    def _last_words(self) -> str:
        end = self._last_output.seek(0, os.SEEK_END)
        self._last_output.seek(max(0, end - _LAST_BYTES))
        text = self._last_output.read().decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        return f" Its last words: {' | '.join(lines[-_LAST_LINES:])}" if lines else ""


def child_environment(*, is_killable: bool = False) -> dict[str, str]:
    """Give the environment of a Python child: it finds evertrain wherever this process got it from.

    Args:
        is_killable: Whether ``EVERTRAIN_FAILPOINT`` counts in the child, too.
    """
    environment = {name: value for name, value in os.environ.items() if is_killable or name != VARIABLE}
    # The current folder is no such place.
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def serve_parent(parent: int, prepare: Callable[[], None], answer: Callable[[JSON], JSON]) -> None:
    """Answer the process *parent* until it asks no more or is gone; nothing else is written to it.

    Args:
        parent: The process that started this one.
        prepare: What takes long and needs no question: imports.
        answer: Gives the answer to a question, or raises an ``EvertrainError``.
    """
    # Where the parent is gone, nobody else removes what lies in the temporary folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    end_with_parent(parent)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        # What a library prints is no answer.
        os.dup2(2, 1)
        serve(sys.stdin, answers, prepare, answer)


def serve(
    questions: IO[str], answers: IO[str], prepare: Callable[[], None], answer: Callable[[JSON], JSON]
) -> None:
    """Answer each line of *questions* by one of *answers*, until there are no more."""
    asked: SimpleQueue[str] = SimpleQueue()
    # Read at once: a question longer than a pipe holds would keep its asker until the imports are done.
    Thread(target=_read_lines, args=(questions, asked), daemon=True, name="questions").start()
    prepare()
    while question := asked.get():
        answers.write(json.dumps(_answered(json.loads(question), answer), default=str) + "\n")
        answers.flush()


def _answered(question: JSON, answer: Callable[[JSON], JSON]) -> Mapping[str, JSON]:
    began = time.perf_counter()
    try:
        value = answer(question)
    except EvertrainError as error:
        facts = {"type": type(error).__name__, "message": error.message, "attributes": error.attributes}
        return {"error": facts}
    return {"answer": value, "seconds": round(time.perf_counter() - began, 3)}


def _read_lines(questions: IO[str], asked: SimpleQueue[str]) -> None:
    for line in questions:
        asked.put(line)
    asked.put("")


def _rebuild(facts: Mapping[str, JSON]) -> EvertrainError:
    kind = getattr(errors, facts["type"], EvertrainError)
    error: EvertrainError = kind(facts["message"], **facts["attributes"])
    return error
