"""Owns what a YAML may say and nothing acts on yet: parsed, and shown by ``check``."""

from __future__ import annotations

from evertrain.config import PipelineConfig

DORMANT = ("labels",)


def find_dormant(config: PipelineConfig) -> tuple[str, ...]:
    """Name the parts that *config* sets, and that nothing acts on yet; they hinder no run."""
    sections = [name for name in DORMANT if name in config.model_fields_set]
    judged = any(gate.type == "slices" for gate in config.evaluation.gates)
    unjudged = ["evaluation.slices"] if config.evaluation.slices and not judged else []
    return (*sections, *unjudged)
