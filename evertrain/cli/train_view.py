"""Owns how a training run's outcome looks in a terminal: the verdict, why, and what to type next."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evertrain.cli.console import program
from evertrain.records import GateResult, TrainOutcome

DECISION_STYLES = {"promoted": "bold green", "rollout": "bold cyan", "held": "bold yellow"}
MOST_SLICES = 10
VERDICTS = {
    "pass": Text("✓ pass", "green"),
    "fail": Text("✗ fail", "red"),
    "not_shown": Text("– not shown", "dim"),
}


def show_outcome(outcome: TrainOutcome, console: Console) -> None:
    """Print the outcome."""
    console.print()
    console.print(headline(outcome))
    console.print(metrics_table(outcome))
    console.print(gates_table(outcome.gates))
    for gate in outcome.gates:
        if gate.slices:
            console.print(slices_table(gate))
    if outcome.quarantined:
        console.print(quarantine_table(outcome))
    for line in next_commands(outcome):
        console.print(Text(f"  {line}", "cyan"))


def headline(outcome: TrainOutcome) -> Text:
    """Say in one line what became of the version."""
    stays = "the champion stays" if outcome.champion else "there is no champion yet"
    where = {
        "promoted": "is the champion",
        "rollout": "begins its rollout",
        "held": f"is registered and held; {stays}",
    }[outcome.decision]
    again = " (nothing changed since: the earlier answer)" if outcome.cached else ""
    style = DECISION_STYLES[outcome.decision]
    return Text.assemble(
        (outcome.decision.upper(), style), f"  {outcome.pipeline} version {outcome.version} {where}{again}"
    )


def metrics_table(outcome: TrainOutcome) -> Table:
    """Lay challenger beside champion."""
    champion = outcome.champion
    table = Table("metric", "this version", box=None, pad_edge=False)
    if champion:
        table.add_column(f"champion (version {champion.version})")
    for name, value in outcome.metrics.items():
        table.add_row(name, f"{value:.4f}", *([spell(champion.metrics.get(name))] if champion else []))
    return table


def spell(value: float | None) -> str:
    """Write a metric; a dash for one that the champion can't be measured by."""
    return "–" if value is None else f"{value:.4f}"


def gates_table(gates: tuple[GateResult, ...]) -> Table:
    """Lay out each gate with its verdict and its reason."""
    table = Table("gate", "verdict", "why", box=None, pad_edge=False)
    for gate in gates:
        table.add_row(gate.type, VERDICTS[gate.verdict], Text(gate.reason))
    return table


def quarantine_table(outcome: TrainOutcome) -> Table:
    """Lay out for which expectations rows were set aside; a row may stand under several."""
    table = Table("quarantined for", "column", "rows", box=None, pad_edge=False)
    for each in outcome.quarantined:
        table.add_row(each.type, Text(each.column or ""), f"{each.rows:,}")
    table.add_row("all", "", f"{outcome.snapshot.quarantined:,}")
    return table


def slices_table(gate: GateResult) -> Table:
    """Lay out the worst slices that a gate looked at, and then what it couldn't show."""
    table = Table("slice", "rows", f"gain in {gate.metric}", "interval", "", box=None, pad_edge=False)
    for each in gate.slices[:MOST_SLICES]:
        shown = each.gain is not None
        table.add_row(
            Text(f"{each.column} = {each.value}"),
            f"{each.rows:,}",
            f"{each.gain:+.4f}" if shown else "",
            f"{each.low:+.4f} to {each.high:+.4f}" if shown else Text(each.missing or ""),
            VERDICTS[each.verdict],
        )
    if len(gate.slices) > MOST_SLICES:
        table.add_row(Text(f"… and {len(gate.slices) - MOST_SLICES} more, in the report", "dim"))
    return table


def next_commands(outcome: TrainOutcome) -> list[str]:
    """Name the commands a user would want next."""
    look = f"{program()} audit show {outcome.pipeline}"
    if outcome.decision == "rollout":
        return [f"{program()} rollout {what} {outcome.pipeline}" for what in ("run", "status")]
    return [look] if outcome.decision == "held" else [f"{program()} serve {outcome.pipeline}", look]
