"""Owns how the demo closes: its table, and the commands to look further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evertrain.cli.console import program, spell_path

if TYPE_CHECKING:
    from evertrain.cli.demo_loop import Story


def show_closing(story: Story, console: Console) -> None:
    """Print the story's table, what it means, and what to type next."""
    console.print()
    console.print(months_table(story))
    console.print(
        "Version 1 learnt from January and February. On 1 June a challenger that had learnt from March and "
        "April\nhad to beat it on May's flights before the service would take it."
    )
    console.print("\nLook further:")
    console.print(
        Text.assemble("  ", (spell_path(story.report), "cyan"), "  the same with a plot, in a browser")
    )
    command = f"EVERTRAIN_HOME={spell_path(story.home)} {program()}"
    for words in ("audit show flights", "serve flights", "rollback flights"):
        console.print(Text(f"  {command} {words}", "cyan"))


def months_table(story: Story) -> Table:
    """Lay the months out."""
    table = Table(
        "month", "flights", "late", "served by", "AUC served", "AUC of version 1", "decision", box=None
    )
    for month in story.months:
        table.add_row(
            month.month,
            f"{month.rows:,}",
            f"{month.late_share:.1%}",
            f"version {month.version}",
            f"{month.champion_auc:.4f}",
            f"{month.first_auc:.4f}",
            month.decision,
        )
    return table
