"""Owns how a plan, and what the data adds to it, look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from evertrain.config.plans import Plan
    from evertrain.datasets import Ingested


def show_plan(plan: Plan, console: Console) -> None:
    """Print what a run would do, line by line, and what to beware of."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in plan_lines(plan):
        table.add_row(Text(name), Text(value))
    console.print(table)
    for warning in plan.warnings:
        console.print(Text.assemble(("! ", "yellow"), warning))


def plan_lines(plan: Plan) -> list[tuple[str, str]]:
    """Spell the plan as pairs of name and words."""
    features = plan.features
    kinds = [f"{kind}: {', '.join(names)}" for kind, names in (features or {}).items() if names]
    lines = [
        ("pipeline", plan.pipeline),
        ("source", plan.source),
        ("query", " ".join(plan.query.split()) if plan.query else ""),
        ("labels", plan.labels or ""),
        ("target", plan.target if plan.positive is None else f"{plan.target} (positive: {plan.positive})"),
        ("features", "; ".join(kinds) if features else "every column but target, timestamp, entity, weight"),
        ("split", plan.split),
        ("validation", "; ".join(plan.validation)),
        ("estimator", plan.estimator),
        ("parameters", ", ".join(spell_parameters(plan.parameters))),
        ("task", plan.task),
        ("metrics", ", ".join(plan.metrics)),
        ("gates", "; ".join(plan.gates)),
        ("promotion", plan.strategy),
        ("drift", plan.drift),
        ("schedule", plan.schedule),
        ("serving", plan.serving),
        ("notify", "; ".join(plan.notify)),
    ]
    return [(name, value) for name, value in lines if value]


def spell_parameters(parameters: Mapping[str, Any]) -> list[str]:
    """Spell an estimator's parameters, without those that scikit-learn itself no longer takes."""
    return [f"{name}={value!r}" for name, value in parameters.items() if value != "deprecated"]


def show_ingested(ingested: Ingested, leakage: tuple[str, ...], console: Console) -> None:
    """Print what the data adds to the plan, and what in it looks like leakage."""
    snapshot, plan = ingested.snapshot, ingested.plan
    console.print()
    console.print(
        f"{snapshot.train_rows:,} rows to learn from, {snapshot.holdout_rows:,} held out, "
        f"{snapshot.unlabelled:,} unlabelled; snapshot {snapshot.digest[:12]}"
    )
    table = Table("feature", "kind", "type", box=None, pad_edge=False)
    for feature in plan.features:
        table.add_row(Text(feature.name), feature.kind, feature.type)
    console.print(table)
    for column in plan.left_out:
        console.print(Text(f"left out: {column.name}: {column.reason}", "dim"))
    for note in (*ingested.notes, *(f"leakage? {each}" for each in leakage)):
        console.print(Text.assemble(("! ", "yellow"), note))
