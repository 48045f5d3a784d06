"""Owns what the service tells whoever keeps its answers and late labels; the keeping is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from evertrain.predictions import Prediction
from evertrain.records import Label
from serving.fleet import Served


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


class Recorder(Protocol):
    """Keeps answers and labels."""

    def record_answer(self, answered: Answered) -> None:
        """Take an answer; never waits and never raises: what can't be kept is counted as dropped."""

    def record_labels(self, pipeline: str, labels: Sequence[LateLabel]) -> None:
        """Keep labels; they survive the machine once this returns.

        Raises:
            StorageError: They couldn't be kept.
        """


class KeepsNothing:
    """The recorder of a service that was started without a place to keep anything."""

    def record_answer(self, answered: Answered) -> None:
        """Let it go."""

    def record_labels(self, pipeline: str, labels: Sequence[LateLabel]) -> None:
        """Let them go."""
