"""Owns how a backtest looks in a terminal: what is left to do, the strategies, the policy's turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evertrain.backtest_records import BacktestOutcome, StrategyResult, Turn

if TYPE_CHECKING:
    from evertrain.backtest import Progress

PLAIN_SECONDS = 10.0
"""Where nobody looks at a terminal, progress is told so often."""
STYLES = {"promoted": "green", "first": "green", "refused": "red", "failed": "red"}
MOST_REASON = 160


@contextmanager
def showing_pieces() -> Iterator[Callable[[Progress], None]]:
    """Show progress on standard error while the block runs: what is done, and how long the rest may take."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with console.status("backtest …") as status:
        told_at = time.monotonic()

        def tell(progress: Progress) -> None:
            nonlocal told_at
            line = spell_progress(progress)
            if console.is_terminal:
                status.update(line)
            elif time.monotonic() - told_at > PLAIN_SECONDS:
                told_at = time.monotonic()
                console.print(line)

        yield tell
    sys.stderr.flush()


def spell_progress(progress: Progress) -> str:
    """Say how far a stage is."""
    left = "" if not progress.left_seconds else f", about {_spell_seconds(progress.left_seconds)} left"
    return f"{progress.what}: {progress.done} of {progress.known}{left}"


def show_backtest(outcome: BacktestOutcome, console: Console) -> None:
    """Print the outcome."""
    console.print()
    console.print(headline(outcome))
    console.print(strategies_table(outcome))
    for short, settings in name_variants(outcome).values():
        console.print(Text.assemble((f"{short}: ", "dim"), settings))
    policy = next(each for each in outcome.strategies if each.name == "policy")
    console.print(turns_table(policy, outcome.metric))
    console.print(Text.assemble("  ", (outcome.report or "", "cyan")))


def headline(outcome: BacktestOutcome) -> Text:
    """Say what was replayed, and what that took."""
    count = len(outcome.strategies[0].periods)
    periods = f"{count} months" if outcome.every == "month" else f"{count} periods of {outcome.every}"
    again = f", {outcome.recalled} recalled" if outcome.recalled else ""
    return Text.assemble(
        ("BACKTEST", "bold green"),
        f"  {outcome.pipeline}: {outcome.since:%Y-%m-%d} to {outcome.until:%Y-%m-%d}, {periods}; "
        f"{outcome.computed} pieces computed{again}, {_spell_seconds(outcome.seconds)}",
    )


def strategies_table(outcome: BacktestOutcome) -> Table:
    """Lay out the strategies: mean metrics, retrains, promotions, seconds."""
    metrics = list(dict.fromkeys(name for each in outcome.strategies for name in each.metrics))
    table = Table("strategy", box=None, pad_edge=False)
    for name in (*metrics, "retrains", "promotions", "training + checks"):
        # Of more words than one, each may stand on a line of its own.
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("")
    short = name_variants(outcome)
    for each in outcome.strategies:
        table.add_row(
            Text(short.get(each.name, (each.name, ""))[0]),
            *(f"{each.metrics[name]:.4f}" if name in each.metrics else "–" for name in metrics),
            str(each.retrains),
            str(each.promotions),
            f"{each.train_seconds:.0f} + {each.check_seconds:.0f} s",
            Text("★" if each.frontier else "", "green"),
        )
    table.caption = f"metrics: means; ★: none has a {outcome.metric} as good with as few retrains"
    table.caption_justify = "left"
    return table


def name_variants(outcome: BacktestOutcome) -> dict[str, tuple[str, str]]:
    """Give, by the name of each variant that was swept, a short one and its settings."""
    swept = [each for each in outcome.strategies if each.settings]
    return {
        each.name: (f"policy {number}", ", ".join(each.settings))
        for number, each in enumerate(swept, start=1)
    }


def turns_table(policy: StrategyResult, metric: str) -> Table:
    """Lay out the policy's periods."""
    table = Table("period from", "rows", "served by", metric, "policy", box=None, pad_edge=False)
    for turn in policy.periods:
        table.add_row(
            f"{turn.since:%Y-%m-%d}",
            f"{turn.rows:,}",
            f"champion {turn.version}" if turn.version else "nobody",
            f"{turn.metrics[metric]:.4f}" if metric in turn.metrics else Text(turn.unscored or "–", "dim"),
            spell_turn(turn),
        )
    return table


def spell_turn(turn: Turn) -> Text:
    """Say what was done at a period's start, and why."""
    first, _, more = turn.reason.partition("\n")
    short = first if len(first) <= MOST_REASON and not more else f"{first[: MOST_REASON - 1]}…"
    action = "" if turn.action == "none" else f"{turn.action}: "
    return Text.assemble((action, STYLES.get(turn.action, "yellow")), short)


def _spell_seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
