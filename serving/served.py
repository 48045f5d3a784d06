"""Owns one model as it answers."""

from __future__ import annotations

from dataclasses import dataclass

from evertrain.bundles import Bundle


@dataclass(frozen=True)
class Served:
    """One model as it answers: its version, the journal's generation, the verified and warm bundle."""

    name: str
    version: int
    generation: int
    bundle: Bundle

    def __str__(self) -> str:
        return f"{self.name} v{self.version} ({self.bundle.runtime})"
