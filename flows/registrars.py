"""Owns which registrar a run uses: one that was started ahead of it, or its own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from evertrain.registrar import Registrar, start_registrar
from flows.ahead import kept_ahead, kept_or_own

_kept: ContextVar[Registrar | None] = ContextVar("registrar", default=None)


def registrar_ahead() -> AbstractContextManager[None]:
    """Start one now, for the runs in the block."""
    return kept_ahead(_kept, start_registrar())


def registrar_for() -> AbstractContextManager[Registrar]:
    """Give a run the one that was started ahead, or one of its own."""
    return kept_or_own(_kept, start_registrar)
