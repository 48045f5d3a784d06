"""Owns the rules on metrics and gates: which fit the task, and which limits make sense."""

from __future__ import annotations

from collections.abc import Iterator

from evertrain.config.faults import Fault, Path, fault_at, spell_value
from evertrain.config.rules.raw import Raw, is_number, mappings, pick_text, texts
from evertrain.metrics import DEFAULT_METRICS, METRICS, metrics_for
from evertrain.settings import Settings

ELSEWHERE = (("drift", "performance"), ("drift", "regret"), ("promotion", "strategy"))


def named_metrics(raw: Raw) -> list[tuple[Path, str]]:
    """List every known metric that the YAML names, with its place."""
    named = texts(raw, "evaluation", "metrics")
    for section in [path for path, _ in mappings(raw, "evaluation", "gates")] + list(ELSEWHERE):
        name = pick_text(raw, *section, "metric")
        named += [((*section, "metric"), name)] if name is not None else []
    return [(path, name) for path, name in named if name in METRICS]


def task_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find metrics that don't fit the task."""
    task = pick_text(raw, "evaluation", "task")
    for known in DEFAULT_METRICS:
        if task == known:
            fitting = metrics_for(known)
            allowed = f"one that fits {task}: {', '.join(fitting)}"
            yield from (
                fault_at(path, spell_value(name), allowed)
                for path, name in named_metrics(raw)
                if name not in fitting
            )


def repeated_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find metrics that are listed twice."""
    seen: set[str] = set()
    for path, name in texts(raw, "evaluation", "metrics"):
        if name in seen:
            yield fault_at(path, f"{spell_value(name)} is listed already", "each metric once")
        seen.add(name)


def limit_faults(raw: Raw, _settings: Settings) -> Iterator[Fault]:
    """Find thresholds that nothing can keep within."""
    for path, gate in mappings(raw, "evaluation", "gates"):
        low, high = gate.get("min"), gate.get("max")
        if gate.get("type") == "threshold" and is_number(low) and is_number(high) and low > high:
            yield fault_at((*path, "min"), spell_value(low), f"at most max ({spell_value(high)})")
