"""Owns which validator a run uses: one that was started ahead of it, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from evertrain.config import ValidationConfig
from evertrain.validation.validator import Validator, ValidatorBeside, start_validator
from flows.ahead import kept_ahead, kept_or_own

_kept: ContextVar[Validator | None] = ContextVar("validator", default=None)


@contextmanager
def validator_ahead(config: ValidationConfig) -> Iterator[None]:
    """Start one now, for the runs in this block; none where *config* names no expectation."""
    if not config.expectations:
        yield
        return
    with kept_ahead(_kept, start_validator()):
        yield


@contextmanager
def validator_forked() -> Iterator[None]:
    """Fork one off this process, which has Great Expectations imported, for the runs in this block."""
    with kept_ahead(_kept, ValidatorBeside(is_forked=True)):
        yield


@contextmanager
def validator_for(config: ValidationConfig) -> Iterator[Validator | None]:
    """Give a run the one that was started ahead, or one of its own; None without expectations."""
    if not config.expectations:
        yield None
        return
    with kept_or_own(_kept, start_validator) as validator:
        yield validator
