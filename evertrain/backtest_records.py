"""Owns the frozen values of a backtest: what each strategy did in each period, and what that came to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from evertrain.records import Record

TurnAction = Literal["none", "first", "promoted", "held", "refused", "failed"]
"""``first``: the pipeline's first champion; ``refused``: the rows were; ``failed``: no model came of them."""


class Turn(Record):
    """One period of one strategy: what was done at its start, and how the champion then did in it.

    ``version`` counts the strategy's champions from 1; None where none serves yet. ``rows`` counts the
    labelled rows of the period; ``metrics`` is empty where nothing could be measured, and ``reason`` of the
    action doesn't say that: ``unscored`` does.
    """

    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    action: TurnAction
    reason: str
    version: int | None = None
    trained_as_of: datetime | None = None
    rows: int = 0
    metrics: dict[str, float] = {}
    unscored: str | None = None


class StrategyResult(Record):
    """What a strategy came to: ``metrics`` are plain means over the periods that could be scored.

    The first champion is neither a retrain nor a promotion. ``train_seconds`` is what its trainings took, the
    first included; ``check_seconds`` what its checks took, probes included. ``frontier``: no other strategy
    has a mean primary metric as good with as few retrains, and is better in one of both.
    """

    name: str
    settings: tuple[str, ...] = ()
    metrics: dict[str, float]
    retrains: int
    promotions: int
    train_seconds: float
    check_seconds: float
    frontier: bool = False
    periods: tuple[Turn, ...]


class BacktestOutcome(Record):
    """What a backtest came to: printed by ``backtest --json``.

    ``computed`` pieces were worked out by this run, ``recalled`` ones by an earlier one.
    """

    pipeline: str
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    every: str
    metric: str
    strategies: tuple[StrategyResult, ...]
    computed: int = 0
    recalled: int = 0
    seconds: float = 0.0
    report: str | None = None
