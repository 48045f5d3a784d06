"""Owns what a YAML may say and this version can't do: parsed, shown by ``check``, refused by ``train``."""

from __future__ import annotations

from evertrain.config import PipelineConfig
from evertrain.config.faults import Fault, fault_at

UNWALKED = ("ab",)
WORDS = "is not yet supported by this version"


def find_dormant(config: PipelineConfig) -> tuple[str, ...]:
    """Name the parts that *config* sets, and that nothing acts on yet; they hinder no run."""
    judged = any(gate.type == "slices" for gate in config.evaluation.gates)
    return ("evaluation.slices",) if config.evaluation.slices and not judged else ()


def find_not_yet(config: PipelineConfig, *, has_champion: bool = False) -> list[Fault]:
    """Find each part of *config* that a training run couldn't honour.

    Args:
        config: The pipeline.
        has_champion: Whether a version serves already; the first is promoted at once by any strategy.
    """
    faults = []
    strategy = config.promotion.strategy.type
    if has_champion and strategy in UNWALKED:
        found = f"{strategy} {WORDS} where there is a champion"
        faults.append(
            fault_at(("promotion", "strategy", "type"), found, "direct, blue_green, canary or shadow")
        )
    return faults
