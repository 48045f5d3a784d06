"""Owns what a command prints: JSON alone on standard output, all else beside it, a failure in one line."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from typer.exceptions import TyperException

from evertrain.cli.progress_view import showing_progress
from evertrain.errors import EvertrainError, StorageError
from evertrain.settings import read_settings

INTERRUPTED = 130
UNEXPECTED = 1
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def tell_nobody(_kind: str, _message: str, _code: int) -> None:
    """Have nobody else to tell of a failure."""


class Output:
    """Where a command's answer goes.

    Attributes:
        tell_failure: Called with type, message and exit code once a failure has been printed, so that a
            command can tell a CI system too.
    """

    def __init__(self, answer_descriptor: int | None) -> None:
        self._answer_descriptor = answer_descriptor
        self.tell_failure: Callable[[str, str, int], None] = tell_nobody
        self.console = Console(stderr=answer_descriptor is not None, highlight=False, soft_wrap=True)

    @property
    def wants_json(self) -> bool:
        """Whether ``--json`` was given."""
        return self._answer_descriptor is not None

    def answer(self, value: Any) -> None:
        """Print *value* as the one JSON object on standard output; nothing without ``--json``."""
        if self._answer_descriptor is not None:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            # What was done stands, whether or not anybody reads of it.
            with suppress(BrokenPipeError):
                os.write(self._answer_descriptor, f"{text}\n".encode())


@contextmanager
def command(*, wants_json: bool) -> Iterator[Output]:
    """Run a command's body: progress on standard error, any failure told in one line and as an exit code.

    With ``--json`` whatever a library prints on standard output goes to standard error.
    """
    with _answer_descriptor(wants_json) as descriptor:
        output = Output(descriptor)
        try:
            with showing_progress():
                yield output
        except (TyperException, typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            raise typer.Exit(_tell(error, output)) from error


@contextmanager
def _answer_descriptor(wants_json: bool) -> Iterator[int | None]:
    if not wants_json:
        yield None
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield kept
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def program() -> str:
    """Spell the command as the user can type it again: ``evertrain``, or where it lies off the path."""
    typed = Path(sys.argv[0])
    if shutil.which(typed.name) or typed.name != "evertrain":
        return "evertrain"
    return spell_path(typed)


def spell_path(path: Path) -> str:
    """Spell *path* from the current folder, where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def answer_usage_error(error: TyperException) -> int:
    """Tell a wrong use of the command line as JSON; gives the exit code."""
    Output(1).answer(_failure("UsageError", error.format_message(), error.exit_code))
    return error.exit_code


def _tell(error: Exception, output: Output) -> int:
    known = _as_ours(error)
    if known is None:
        message = _unexpected(error)
        kind, code = type(error).__name__, UNEXPECTED
    else:
        message, kind, code = known.message, type(known).__name__, known.exit_code
    # Where the answer itself can't be written, standard error still says why.
    with suppress(OSError):
        output.answer(_failure(kind, message, code))
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error[/] {_escaped(message)}")
    output.tell_failure(kind, message, code)
    return code


def _as_ours(error: Exception) -> EvertrainError | None:
    if isinstance(error, EvertrainError):
        return error
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        place = error.filename or "standard output"
        return StorageError(f"{error.strerror}: {place}; make room, or move EVERTRAIN_HOME.")
    return None


def _failure(kind: str, message: str, code: int) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, "exit": code}}


def _unexpected(error: Exception) -> str:
    text = "".join(traceback.format_exception(error))
    path = _keep(text)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"what happened stands in {path}" if path else f"it happened in {place.name}"
    return f"This is a fault of evertrain's own, please report it: {type(error).__name__}: {error}; {where}."


def _keep(text: str) -> Path | None:
    try:
        folder = read_settings().home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"fault-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
        path.write_text(text)
    except OSError:
        return None
    return path


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
