"""Owns the gate ``slices``: no slice of the held-out rows may lose more than a margin."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.metrics import MetricName
from evertrain.numbers import Count, NotNegative


class SlicesGate(BaseModel):
    """Fails where a slice's gain is, with Holm's correction over slices, below ``-max_regression``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["slices"]
    metric: MetricName
    max_regression: NotNegative = 0.03
    min_rows: Count = 200
