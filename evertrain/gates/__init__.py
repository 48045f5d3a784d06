"""Owns the kinds of gate: what a candidate must show before it may take the champion's place."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evertrain.gates.beats_champion import BeatsChampion
from evertrain.gates.latency import LatencyGate
from evertrain.gates.not_worse import NotWorse
from evertrain.gates.signature import SignatureGate
from evertrain.gates.slices import SlicesGate
from evertrain.gates.threshold import Threshold

Gate = Annotated[
    Threshold | BeatsChampion | NotWorse | SlicesGate | LatencyGate | SignatureGate,
    Field(discriminator="type"),
]
__all__ = ["BeatsChampion", "Gate", "LatencyGate", "NotWorse", "SignatureGate", "SlicesGate", "Threshold"]
