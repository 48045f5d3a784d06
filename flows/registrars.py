"""Owns which registrar a run uses: one that was started ahead of it, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from evertrain.registrar import Registrar, RegistrarBeside, start_registrar
from flows.ahead import kept_ahead, kept_or_own

_kept: ContextVar[Registrar | None] = ContextVar("registrar", default=None)


@contextmanager
def registrar_ahead() -> Iterator[None]:
    """Start one now, for the runs in this block."""
    with kept_ahead(_kept, start_registrar()):
        yield


@contextmanager
def registrar_forked() -> Iterator[None]:
    """Fork one off this process, which has MLflow imported, for the runs in this block."""
    with kept_ahead(_kept, RegistrarBeside(is_forked=True)):
        yield


def registrar_for() -> AbstractContextManager[Registrar]:
    """Give a run the one that was started ahead, or one of its own."""
    return kept_or_own(_kept, start_registrar)
