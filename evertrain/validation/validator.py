"""Owns the other end of the validation process: starts it, asks it, awaits its verdict, ends it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from evertrain import errors
from evertrain.config import ValidationConfig
from evertrain.datasets import Ingested
from evertrain.errors import EvertrainError, ServiceError
from evertrain.failpoints import VARIABLE
from evertrain.records import ValidationReport
from evertrain.storage import Store

TIMEOUT_SECONDS = 1800.0
_STOP_SECONDS = 5.0
_LAST_LINES = 5
_LAST_BYTES = 4000
_MODULE = ("-P", "-m", "evertrain.validation.child")


class Validator:
    """A process that imports Great Expectations at once, and then judges snapshots, one at a time.

    Args:
        timeout_seconds: How long a verdict may take from when it was asked for, the import included.
        module: What the interpreter runs; it is given this process's id.

    Raises:
        ServiceError: The process can't be started.
    """

    def __init__(
        self, *, timeout_seconds: float = TIMEOUT_SECONDS, module: tuple[str, ...] = _MODULE
    ) -> None:
        self.seconds = 0.0
        """What the last verdict took, the import and the waiting aside."""
        self._timeout_seconds = timeout_seconds
        self._deadline: float | None = None
        self._answer = b""
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - as long-lived as this object
        self._folder = tempfile.TemporaryDirectory(prefix="evertrain-validation-")
        self._process = self._start(module)

    @property
    def is_asked(self) -> bool:
        """Whether a snapshot was submitted and its verdict not awaited yet."""
        return self._deadline is not None

    @property
    def is_free(self) -> bool:
        """Whether a snapshot may be submitted."""
        return not self.is_asked and self._process.poll() is None

    def submit(self, config: ValidationConfig, ingested: Ingested, store: Store) -> None:
        """Ask for the verdict on a snapshot; returns at once."""
        self._deadline = time.monotonic() + self._timeout_seconds
        question = {
            "config": config.model_dump(mode="json"),
            "ingested": ingested.model_dump(mode="json"),
            "store": store.where,
        }
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            # It ended; what it said is told where the verdict is awaited.
            return

    def wait(self) -> ValidationReport:
        """Await the verdict that was asked for.

        Raises:
            ConfigError: Great Expectations refuses an argument.
            DataRefused: Great Expectations and the quarantine don't agree.
            StorageError: The rows can't be read.
            ServiceError: The process ended, or took too long.
        """
        assert self._deadline is not None
        try:
            found = json.loads(self._read_line(self._deadline))
        finally:
            self._deadline = None
        self.seconds = float(found["seconds"])
        if "error" in found:
            raise _rebuild(found["error"])
        return ValidationReport.model_validate(found["report"])

    def close(self) -> None:
        """End the process, whatever it does, and remove its temporary files."""
        # By itself it would take a second or two to go, and it holds nothing that outlives it.
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._words):
            assert pipe is not None
            _close(pipe)
        self._folder.cleanup()

    def _start(self, module: tuple[str, ...]) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        # Wherever this process got evertrain from, its child finds it too; not in the current folder.
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment["TMPDIR"] = self._folder.name
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, *module, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                env=environment,
                # A Ctrl-C in the terminal is this process's to answer.
                start_new_session=True,
            )
        except OSError as cause:
            self._words.close()
            self._folder.cleanup()
            raise ServiceError(
                f"Can't start the process that runs Great Expectations: {cause}. End some processes, then "
                "try again."
            ) from cause

    def _read_line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.fileno()
        while b"\n" not in self._answer:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0 or not select.select([line], [], [], left_seconds)[0]:
                self._process.kill()
                raise ServiceError(
                    f"Great Expectations gave no verdict within {self._timeout_seconds:.0f} s; its process "
                    f"was ended. Check fewer rows or fewer expectations.{self._last_words()}"
                )
            piece = os.read(line, 1 << 16)
            if not piece:
                raise ServiceError(
                    f"The process that runs Great Expectations ended {self._how_it_ended()} before it gave "
                    f"its verdict.{self._last_words()}"
                )
            self._answer += piece
        found, _, self._answer = self._answer.partition(b"\n")
        return found

    def _how_it_ended(self) -> str:
        code = self._process.wait(_STOP_SECONDS)
        if code >= 0:
            return f"with exit code {code}"
        return f"by signal {-code}{' (is there enough memory?)' if code == -9 else ''}"

    def _last_words(self) -> str:
        end = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, end - _LAST_BYTES))
        lines = [line for line in self._words.read().decode(errors="replace").splitlines() if line.strip()]
        return f" Its last words: {' | '.join(lines[-_LAST_LINES:])}" if lines else ""


def _rebuild(facts: dict[str, Any]) -> EvertrainError:
    kind = getattr(errors, facts["type"], EvertrainError)
    error: EvertrainError = kind(facts["message"], **facts["attributes"])
    return error


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        # A question that nobody was there to read.
        return
