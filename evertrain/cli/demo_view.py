"""Owns how the demo closes: its table, and the commands to look further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

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
    home = f"EVERTRAIN_HOME={story.home}"
    console.print(f"  [cyan]{story.report}[/]  the same with a plot, in a browser")
    console.print(f"  [cyan]{home} evertrain audit show flights[/]")
    console.print(f"  [cyan]{home} evertrain serve flights[/]")
    console.print(f"  [cyan]{home} evertrain rollback flights[/]")


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
