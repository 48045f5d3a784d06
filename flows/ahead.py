"""Owns what is started ahead of the runs that use it: handed to them unseen, ended with the block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar


class Worker(Protocol):
    """Something that works for one run at a time."""

    @property
    def is_free(self) -> bool:
        """Whether a run may use it."""

    def close(self) -> None:
        """End it."""


W = TypeVar("W", bound=Worker)


@contextmanager
def kept_ahead(place: ContextVar[W | None], worker: W) -> Iterator[None]:
    """Keep *worker* at *place* for the runs in this block.

    A context variable is how a command hands it to the flow, whose parameters Prefect shows and so are plain.
    """
    with closing(worker):
        token = place.set(worker)
        try:
            yield
        finally:
            place.reset(token)


@contextmanager
def kept_or_own(place: ContextVar[W | None], start: Callable[[], W]) -> Iterator[W]:
    """Give a run what is kept at *place* if it is free, else one of its own, which *start* starts."""
    kept = place.get()
    if kept is not None and kept.is_free:
        yield kept
        return
    with closing(start()) as own:
        yield own
