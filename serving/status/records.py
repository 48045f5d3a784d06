"""Owns what the status page is told: the service, its models, and of each its arms and its journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.status.journal_lines import Noted


@dataclass(frozen=True)
class Arm:
    """A version that answers: ``weight`` is its per cent of the requests, ``bundle`` its digest."""

    arm: str
    weight: float
    version: int
    bundle: str
    runtime: str


@dataclass(frozen=True)
class JournalStatus:
    """A journal as last read: the generation it wants, how long ago that was, its last entries by number."""

    generation: int
    age_seconds: float
    noted: Sequence[Noted]


@dataclass(frozen=True)
class ModelStatus:
    """A model; without arms it isn't ready, without a journal none was read yet."""

    name: str
    generation: int
    arms: Sequence[Arm]
    journal: JournalStatus | None


@dataclass(frozen=True)
class ServiceStatus:
    """The service as one process of it stands.

    Attributes:
        models: By name.
        not_ready: Why the service isn't ready; "" if it is.
        version: evertrain's.
        pid: The process that answers.
        has_siblings: Whether other processes answer on the same port.
        at: When this was looked at, UTC.
    """

    models: Sequence[ModelStatus]
    not_ready: str
    version: str
    pid: int
    has_siblings: bool
    at: datetime
