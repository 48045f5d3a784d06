"""Owns how a rollout is shown in a terminal: its steps, its arms, and each change while it is walked."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from evertrain.rollout.controller import Look

BAR = 30


def rollout_table(name: str, look: Look, champion: int | None) -> Table:
    """Lay the rollout out: a row for each arm at each step."""
    rollout = look.rollout
    title = (
        f"{name}: version {rollout.version} beside {champion} ({rollout.kind}), "
        f"step {rollout.step + 1} of {len(rollout.steps)}: {rollout.percent:g} %"
    )
    table = Table("meant", "arm", "requests", "errors", "slow", title=title, title_justify="left")
    for percent, step in zip(rollout.steps, look.seen.steps, strict=False):
        for arm, counts, share in (
            (f"version {rollout.version}", step.challenger, percent),
            (f"version {champion}", step.stable, 100 - percent),
        ):
            figures = (f"{each:,}" for each in (counts.requests, counts.errors, counts.slow))
            table.add_row(f"{share:g} %", arm, *figures)
    paused = f"paused ({rollout.paused.replace('_', ' ')}); " if rollout.paused else ""
    table.caption = f"{paused}{look.move.reason} · processes that answer: {look.seen.answering}"
    table.caption_justify = "left"
    return table


class RolloutProgress:
    """Shows a rollout while it is walked: one line that is overwritten, and one for each change.

    Args:
        console: Where.
        name: The pipeline.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._status = console.status("") if console.is_terminal else None
        self._told: tuple[int, str | None] | None = None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, look: Look) -> None:
        """Show what the controller sees."""
        rollout = look.rollout
        now = (rollout.step, rollout.paused)
        if now != self._told:
            self._told = now
            paused = f" paused: {rollout.paused.replace('_', ' ')}" if rollout.paused else ""
            share = f"{_bar(rollout.percent)} {rollout.percent:g} %"
            self._console.print(f"{self._name} version {rollout.version} {share}{paused}")
        if self._status is not None:
            self._status.update(Text(look.move.reason))


def _bar(percent: float) -> str:
    full = round(BAR * percent / 100)
    return "━" * full + "╌" * (BAR - full)
