"""Owns the gate ``latency``: what one row through the bundle may take."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.numbers import Positive


class LatencyGate(BaseModel):
    """Passes if one row takes at most ``p99_ms``, in process, over 1,000 calls after warm-up."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["latency"]
    p99_ms: Positive
