"""Owns what the service tells whoever keeps its answers and late labels; the keeping is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from evertrain.predictions import Prediction
from evertrain.records import Label
from serving.served import Served


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """One request as it was answered.

    Attributes:
        served: The model that answered.
        arm: The arm that it answered for: ``stable``, later ``canary``, ``a``, ``b``.
        request_id: Prediction ids are ``<request_id>/<row>``.
        entity: What the header ``x-evertrain-entity`` named; None without one.
        at_seconds: When the request came, in seconds since 1970.
        seconds: From the request's headers to its answer.
        columns: The features' raw values by name, n each.
        prediction: The answer to the n rows.
    """

    served: Served
    arm: str
    request_id: str
    entity: str | None
    at_seconds: float
    seconds: float
    columns: Mapping[str, Sequence[Any]]
    prediction: Prediction


class LateLabel(NamedTuple):
    """What really happened, told by a caller for one prediction."""

    prediction_id: str
    label: Label


class LogCounts(NamedTuple):
    """What became of one pipeline's answered rows in this process, since its start.

    A row that was logged is dropped too where this machine had no more room before the store took it.
    """

    logged: int = 0
    sampled_out: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class LogState:
    """How a recorder stands.

    Attributes:
        rows: By pipeline, what became of its rows.
        queued_rows: That wait in this process to be written down.
        waiting_bytes: On this machine's disk, of all processes, that wait for the store.
        shipped_at_seconds: When the store last took what it was brought, in seconds since 1970; None if it
            has not been brought anything.
    """

    rows: Mapping[str, LogCounts] = field(default_factory=dict)
    queued_rows: int = 0
    waiting_bytes: int = 0
    shipped_at_seconds: float | None = None


class Recorder(Protocol):
    """Keeps answers and labels."""

    def record_answer(self, answered: Answered) -> None:
        """Take an answer; never waits and never raises: what can't be kept is counted as dropped."""

    def record_labels(self, pipeline: str, labels: Sequence[LateLabel]) -> None:
        """Keep labels; they survive the machine once this returns.

        Raises:
            StorageError: They couldn't be kept.
        """

    def counts(self) -> LogState:
        """How the log stands; asked about once a second, and never waits."""


class KeepsNothing:
    """The recorder of a service that was started without a place to keep anything."""

    def record_answer(self, answered: Answered) -> None:
        """Let it go."""

    def record_labels(self, pipeline: str, labels: Sequence[LateLabel]) -> None:
        """Let them go."""

    def counts(self) -> LogState:
        """Nothing was kept, and nothing dropped that should have been."""
        return LogState()
