"""Owns the kinds of promotion strategy: how a version that passed its gates takes over."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evertrain.durations import Duration
from evertrain.metrics import MetricName
from evertrain.numbers import Percent


class Direct(BaseModel):
    """The new version takes all requests at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["direct"] = "direct"


class BlueGreen(BaseModel):
    """The new version takes all requests at once; the old one is kept warm for an instant way back."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["blue_green"]
    keep_warm: Duration = timedelta(minutes=15)


class Canary(BaseModel):
    """The new version takes a growing share of requests, guarded at each step."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["canary"]
    steps: tuple[Percent, ...] = Field(default=(5, 25, 50, 100), min_length=1)
    bake: Duration = timedelta(minutes=10)


class Shadow(BaseModel):
    """The new version sees the same requests off the request path; its answers are never returned."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["shadow"]
    duration: Duration = timedelta(hours=1)
    then: Literal["direct"] = "direct"


class AB(BaseModel):
    """Two versions share the requests, sticky by caller, until a metric decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["ab"]
    share: Percent = 50
    duration: Duration = timedelta(days=7)
    metric: MetricName


Strategy = Annotated[
    Direct | BlueGreen | Canary | Shadow | AB, Field(discriminator="type", examples=[{"type": "direct"}])
]
