"""Owns how the demo closes: its table with a plot in it, and the commands to look further."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from evertrain.cli.console import program, spell_path

if TYPE_CHECKING:
    from evertrain.cli.demo_loop import Month, Story

WIDTH = 17
MORAL = """Version 1 learnt from January and February and never changed. After each month a check let a probe
that had learnt from newer months compete with the champion on the month just passed; where it won beyond
chance, a retrain started, and its model had to pass every gate before the service took it."""


def show_closing(story: Story, console: Console) -> None:
    """Print the story's table, what it means, and what to type next."""
    console.print()
    console.print(months_table(story))
    console.print(" ".join(MORAL.split()), soft_wrap=False)
    console.print("\nLook further:")
    console.print(
        Text.assemble("  ", (spell_path(story.report), "cyan"), "  the same with a plot, in a browser")
    )
    command = f"EVERTRAIN_HOME={spell_path(story.home)} {program()}"
    for words in ("audit show flights", "serve flights", "rollback flights"):
        console.print(Text(f"  {command} {words}", "cyan"))


def months_table(story: Story) -> Table:
    """Lay the months out, each with both AUCs on one scale."""
    aucs = [auc for month in story.months for auc in (month.first_auc, month.champion_auc)]
    low, high = min(aucs), max(aucs)
    numbers = [Column(name, justify="right", no_wrap=True) for name in ("late", "drifted")]
    models = [Column(name, justify="right", no_wrap=True) for name in ("never\nretrained", "champion")]
    table = Table(
        "month",
        *numbers,
        Column("AUC", no_wrap=True),
        *models,
        Column("check", no_wrap=True),
        box=None,
        pad_edge=False,
    )
    for month in story.months:
        table.add_row(
            f"{datetime.fromisoformat(f'{month.month}-01'):%b}",
            f"{month.late_share:.0%}",
            "–" if month.drifted_share is None else f"{month.drifted_share:.0%}",
            dots(month, low, high),
            f"{month.first_auc:.3f}",
            f"{month.champion_auc:.3f} v{month.version}",
            check_text(month),
        )
    table.caption = (
        f"○ version 1, never retrained   ● the champion that served   from {low:.2f} to {high:.2f}"
    )
    table.caption_justify = "left"
    return table


def dots(month: Month, low: float, high: float) -> Text:
    """Draw both AUCs as dots on a line from *low* to *high*."""
    line = ["·"] * WIDTH
    scale = (WIDTH - 1) / ((high - low) or 1)
    first, champion = (round((auc - low) * scale) for auc in (month.first_auc, month.champion_auc))
    line[first] = "○"
    line[champion] = "●"
    text = Text("".join(line), "dim", no_wrap=True)
    text.stylize("bold yellow", first, first + 1)
    text.stylize("bold green", champion, champion + 1)
    return text


def check_text(month: Month) -> Text:
    """Say what the check found and what came of it."""
    gain = "" if month.gain is None else f"{month.gain:+.3f} "
    style = "green" if "promoted" in month.decision else "yellow" if "held" in month.decision else "dim"
    return Text.assemble(gain, (month.decision, style))
