"""Owns how progress looks in a terminal: a spinner for the step that runs, a line for each that is done."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

QUIET_LOGGERS = ("alembic", "mlflow", "great_expectations", "prefect", "httpx", "matplotlib")


class ProgressHandler(logging.Handler):
    """Draws the records of ``evertrain.steps``, and shows warnings of the rest of evertrain."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._status: Status | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Draw one record."""
        phase = getattr(record, "phase", None)
        if phase == "started":
            self._begin(f"{record.__dict__['step']} …")
        elif phase == "done":
            self._end()
            self._console.print(done_line(record))
        elif phase == "failed":
            self._end()
        elif record.levelno >= logging.WARNING:
            self._console.print(Text.assemble(("! ", "yellow"), record.getMessage()))

    def close(self) -> None:
        """Take the spinner away."""
        self._end()
        super().close()

    def _begin(self, text: str) -> None:
        self._end()
        if self._console.is_terminal:
            self._status = self._console.status(text)
            self._status.start()

    def _end(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def done_line(record: logging.LogRecord) -> Text:
    """Write a finished step: what it came to, and what it took."""
    facts = record.__dict__
    return Text.assemble(
        ("✓ ", "green"),
        (f"{facts['step']:<15}", "bold"),
        f"{facts['note']}  ",
        (f"{facts['seconds']:.1f} s", "dim"),
    )


@contextmanager
def showing_progress() -> Iterator[None]:
    """Show evertrain's progress on standard error while the block runs; libraries keep quiet."""
    handler = ProgressHandler(Console(stderr=True, highlight=False, soft_wrap=True))
    ours = logging.getLogger("evertrain")
    ours.setLevel(logging.INFO)
    ours.addHandler(handler)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        handler.close()
