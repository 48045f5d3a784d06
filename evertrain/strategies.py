"""Owns the kinds of promotion strategy: how a version that passed its gates takes over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evertrain.durations import Duration
from evertrain.metrics import MetricName
from evertrain.numbers import Percent

KEEP_WARM = timedelta(minutes=15)


@dataclass(frozen=True)
class Plan:
    """What a strategy does with a version that passed its gates.

    Attributes:
        kind: The strategy's type.
        percents: Of requests that the version answers, step by step, before it becomes champion; empty where
            it becomes that at once.
        bake_seconds: How long each step lasts at least.
        keep_warm_seconds: How long the champion before stays loaded in the service.
        metric: What decides at the end, where a metric does.
    """

    kind: str
    percents: tuple[float, ...] = ()
    bake_seconds: float = 0.0
    keep_warm_seconds: float = KEEP_WARM.total_seconds()
    metric: str | None = None


class Direct(BaseModel):
    """The new version takes all requests at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["direct"] = "direct"

    def plan(self) -> Plan:
        """What is to be done."""
        return Plan(self.type)


class BlueGreen(BaseModel):
    """The new version takes all requests at once; the old one is kept warm for an instant way back."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["blue_green"]
    keep_warm: Duration = KEEP_WARM

    def plan(self) -> Plan:
        """What is to be done."""
        return Plan(self.type, keep_warm_seconds=self.keep_warm.total_seconds())


class Canary(BaseModel):
    """The new version takes a growing share of requests, guarded at each step."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["canary"]
    steps: tuple[Percent, ...] = Field(default=(5, 25, 50, 100), min_length=1)
    bake: Duration = timedelta(minutes=10)

    def plan(self) -> Plan:
        """What is to be done."""
        return Plan(self.type, self.steps, self.bake.total_seconds())


class Shadow(BaseModel):
    """The new version sees the same requests off the request path; its answers are never returned."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["shadow"]
    duration: Duration = timedelta(hours=1)
    then: Literal["direct"] = "direct"

    def plan(self) -> Plan:
        """What is to be done."""
        # The challenger answers none of the requests that it sees.
        return Plan(self.type, (0.0,), self.duration.total_seconds())


class AB(BaseModel):
    """Two versions share the requests, sticky by caller, until a metric decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["ab"]
    share: Percent = 50
    duration: Duration = timedelta(days=7)
    metric: MetricName

    def plan(self) -> Plan:
        """What is to be done."""
        return Plan(self.type, (self.share,), self.duration.total_seconds(), metric=self.metric)


Strategy = Annotated[
    Direct | BlueGreen | Canary | Shadow | AB, Field(discriminator="type", examples=[{"type": "direct"}])
]
