"""Owns a backtest from what was asked to what is told: config, variants, periods, replay, page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from evertrain.backtest import Makers, Tell, Workshop, replay
from evertrain.backtest.periods import Period, cut_periods, read_every
from evertrain.backtest.sweeps import mark_frontier, spread_sweeps
from evertrain.backtest_records import BacktestOutcome
from evertrain.config import PipelineConfig
from evertrain.config.files import check_trainable, load_config
from evertrain.errors import ConfigError
from evertrain.reports.backtest_report import render_backtest
from evertrain.settings import Settings
from evertrain.storage import Store

BESIDE_FITTING_SECONDS = 1800.0
"""How long a piece may take beside what ``training.timeout`` allows for fitting."""


@dataclass(frozen=True)
class Request:
    """What was asked: a pipeline's YAML, the time to replay, and what to vary."""

    path: Path
    since: datetime
    until: datetime
    every: str
    sweeps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be replayed."""

    config: PipelineConfig
    variants: tuple[tuple[tuple[str, ...], PipelineConfig], ...]
    periods: tuple[Period, ...]
    every: str

    @property
    def patience_seconds(self) -> float:
        """How long one piece may take."""
        configs = [self.config, *(config for _, config in self.variants)]
        return max(each.training.timeout.total_seconds() for each in configs) + BESIDE_FITTING_SECONDS


def plan_backtest(request: Request, settings: Settings) -> Plan:
    """Read and check all that was asked, before any work.

    Raises:
        ConfigError: The YAML, a variant of it, or the time to replay is wrong.
    """
    periods = cut_periods(request.since, request.until, read_every(request.every))
    variants = spread_sweeps(request.sweeps)
    config = _load(request, settings)
    varied = tuple((each, _load(request, settings, each)) for each in variants)
    if config.data.timestamp is None:
        raise ConfigError(
            "data.timestamp: a backtest replays history; name the column that holds the rows' times.",
            path="data.timestamp",
        )
    return Plan(config, varied, periods, request.every)


def run_backtest(plan: Plan, store: Store, makers: Makers, tell: Tell) -> BacktestOutcome:
    """Replay, and write the page beside the pipeline's reports.

    Args:
        plan: What is replayed.
        store: Holds the pieces, and receives the page.
        makers: Works pieces out.
        tell: Told of progress.

    Raises:
        EvertrainError: See ``replay``.
    """
    began = time.monotonic()
    workshop = Workshop(store, makers, tell)
    results = replay(plan.config, plan.variants, plan.periods, workshop)
    metric = plan.config.primary_metric
    since, until = plan.periods[0].since, plan.periods[-1].until
    outcome = BacktestOutcome(
        pipeline=plan.config.name,
        since=since,
        until=until,
        every=plan.every,
        metric=metric,
        strategies=mark_frontier(results, metric),
        computed=workshop.computed,
        recalled=workshop.recalled,
        seconds=round(time.monotonic() - began, 3),
    )
    key = f"reports/{plan.config.name}/backtest-{since:%Y%m%dT%H%M%SZ}-{until:%Y%m%dT%H%M%SZ}.html"
    outcome = outcome.model_copy(update={"report": f"{store.where}/{key}"})
    store.put(key, render_backtest(outcome, plan.config.description).encode())
    return outcome


def _load(request: Request, settings: Settings, overrides: Sequence[str] = ()) -> PipelineConfig:
    config = load_config(request.path, settings, overrides)
    check_trainable(config, settings, str(request.path))
    # The service logs the rows of the source: in a replay those stand for its log, which has no such past.
    current = config.drift.current.model_copy(update={"from_": "source"})
    drift = config.drift.model_copy(update={"current": current})
    return config.model_copy(update={"drift": drift})
