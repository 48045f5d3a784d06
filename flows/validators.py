"""Owns which validation process a run uses: one started ahead of it, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from evertrain.config import ValidationConfig
from evertrain.validation.validator import Validator

# How a command hands it to the flow, whose parameters Prefect shows and so are plain.
_ahead: ContextVar[Validator | None] = ContextVar("validator", default=None)


@contextmanager
def validator_ahead(config: ValidationConfig) -> Iterator[None]:
    """Start the process now, for the runs in this block; none where *config* names no expectation."""
    if not config.expectations:
        yield
        return
    validator = Validator()
    token = _ahead.set(validator)
    try:
        yield
    finally:
        _ahead.reset(token)
        validator.close()


@contextmanager
def validator_for(config: ValidationConfig) -> Iterator[Validator | None]:
    """Give a run the process that was started ahead, or one of its own; None without expectations."""
    ahead = _ahead.get()
    if not config.expectations or (ahead is not None and ahead.is_free):
        yield ahead if config.expectations else None
        return
    validator = Validator()
    try:
        yield validator
    finally:
        validator.close()
