"""Owns backtests: strategies of retraining replayed over history, piece by piece, and what they came to."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evertrain.backtest.making import recall
from evertrain.backtest.periods import Period
from evertrain.backtest.pieces import (
    Fit,
    Made,
    Piece,
    key_of,
    plan_fit,
    plan_probe,
    plan_verdict,
    plan_window,
)
from evertrain.backtest.strategies import NO_CHAMPION, Season, Strategy, Walk, walk
from evertrain.backtest_records import StrategyResult
from evertrain.config import PipelineConfig
from evertrain.datasets import source_digest
from evertrain.errors import DataRefused, TrainingError
from evertrain.holdouts import are_same_rows
from evertrain.metrics import METRICS
from evertrain.storage import Store

EVERY = (1, 2, 3)
"""Retraining at each, at every second and at every third period stands beside every policy."""

Tell = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """How far a backtest is: so many of the pieces that are known of now are done.

    ``left_seconds`` is None until it can be told.
    """

    what: str
    done: int
    known: int
    left_seconds: float | None


class Makers(Protocol):
    """Who works pieces out: processes of this machine, or a cluster."""

    def make_all(self, pieces: Sequence[Piece]) -> Iterator[tuple[int, Made]]:
        """Work out all *pieces*, several at once; gives the place of each with what it came to, as they end.

        Raises:
            EvertrainError: What ends the backtest; see ``evertrain.errors``.
        """


@dataclass
class Workshop:
    """Has pieces worked out, each once; what an earlier backtest kept is recalled.

    Attributes:
        store: Holds what pieces came to.
        makers: Works out what it doesn't hold.
        tell: Told of progress.
    """

    store: Store
    makers: Makers
    tell: Tell
    computed: int = 0
    recalled: int = 0
    _had: dict[str, Made] = field(default_factory=dict)

    def have(self, pieces: Sequence[Piece], what: str) -> list[Made]:
        """Have all of *pieces*, in their order; *what* names them to those who wait."""
        wanted = {key_of(piece): piece for piece in pieces}
        missing: dict[str, Piece] = {}
        for key, piece in wanted.items():
            if key in self._had:
                continue
            found = recall(self.store, piece)
            if found is None:
                missing[key] = piece
            else:
                self._had[key] = found
                self.recalled += 1
        self._compute(missing, what)
        return [self._had[key_of(piece)] for piece in pieces]

    def _compute(self, missing: Mapping[str, Piece], what: str) -> None:
        if not missing:
            return
        keys, began = list(missing), time.monotonic()
        self.tell(Progress(what, 0, len(keys), None))
        for done, (place, made) in enumerate(self.makers.make_all(list(missing.values())), start=1):
            self._had[keys[place]] = made
            self.computed += 1
            left = (time.monotonic() - began) / done * (len(keys) - done)
            self.tell(Progress(what, done, len(keys), left))


def replay(
    base: PipelineConfig,
    variants: Sequence[tuple[tuple[str, ...], PipelineConfig]],
    periods: Sequence[Period],
    workshop: Workshop,
) -> tuple[StrategyResult, ...]:
    """Replay never, always, always without gates, every second and third period, the policy and its variants.

    Nothing is registered, promoted, journalled or told to anybody.

    Args:
        base: The pipeline; it has a ``data.timestamp``.
        variants: What a sweep makes of it: the overrides, and the pipeline with them.
        periods: The time to replay.
        workshop: Has pieces worked out.

    Returns:
        A result for each strategy, in that order.

    Raises:
        SourceError: The data can't be had.
        DataRefused: No first champion could be had in all that time, since rows were refused or a gate held.
        TrainingError: As before, since no model came of the rows.
        StorageError: The store can't be used.
    """
    source = digest_sources(base)
    strategies = name_strategies(base, variants, len(periods))
    seasons = {
        strategy.name: Season(
            periods=tuple(periods),
            source=source if has_same_rows(strategy.config, base) else digest_sources(strategy.config),
            metrics=wanted_scores(base),
            same_rows=lambda one, other: are_same_rows(workshop.store, one, other),
        )
        for strategy in strategies
    }
    _prepare(strategies, seasons, workshop)
    results = walk_together(
        {each.name: walk(each, seasons[each.name]) for each in strategies}, len(periods), workshop
    )
    _require_champion(results)
    return results


def name_strategies(
    base: PipelineConfig, variants: Sequence[tuple[tuple[str, ...], PipelineConfig]], periods: int
) -> tuple[Strategy, ...]:
    """List the strategies; of "every so manieth" those that fit into the time."""
    every = [
        Strategy("always" if step == 1 else f"every {step}", "every", base, every=step)
        for step in EVERY
        if step < max(2, periods)
    ]
    ungated = Strategy("always, no gates", "every", base, gated=False)
    swept = [
        Strategy(f"policy, {', '.join(settings)}", "policy", config, settings=settings)
        for settings, config in variants
    ]
    first, *others = every
    return (
        Strategy("never", "never", base),
        first,
        ungated,
        *others,
        Strategy("policy", "policy", base),
        *swept,
    )


def wanted_scores(config: PipelineConfig) -> tuple[str, ...]:
    """Name what champions are scored by: the pipeline's metrics, and of classes Brier's score too."""
    task = config.evaluation.task
    brier = ["brier_score_loss"] if task in METRICS["brier_score_loss"].tasks else []
    return tuple(dict.fromkeys([*config.evaluation.metrics, *brier]))


def has_same_rows(one: PipelineConfig, other: PipelineConfig) -> bool:
    """Whether two pipelines read the same sources."""
    return (one.data.source, one.labels) == (other.data.source, other.labels)


def digest_sources(config: PipelineConfig) -> str:
    """Digest what the pipeline's sources hold; those that only their rows tell are new to each backtest."""
    return source_digest(config) or uuid.uuid4().hex


def walk_together(walks: Mapping[str, Walk], periods: int, workshop: Workshop) -> tuple[StrategyResult, ...]:
    """Walk all strategies side by side, so that what they ask for at a time is worked out at once."""
    results: dict[str, StrategyResult] = {}
    answers: dict[str, Sequence[Made] | None] = dict.fromkeys(walks)
    while answers:
        asked: dict[str, tuple[Piece, ...]] = {}
        for name, answer in answers.items():
            try:
                asked[name] = next(walks[name]) if answer is None else walks[name].send(answer)
            except StopIteration as ended:
                results[name] = ended.value
        pieces = [piece for each in asked.values() for piece in each]
        made = iter(workshop.have(pieces, f"replaying {periods} periods"))
        answers = {name: [next(made) for _ in each] for name, each in asked.items()}
    return tuple(results[name] for name in walks)


def _prepare(strategies: Sequence[Strategy], seasons: Mapping[str, Season], workshop: Workshop) -> None:
    """Have beforehand, all at once, what depends on no champion."""
    fits: list[Piece] = []
    windows: list[Piece] = []
    for strategy in strategies:
        season, config = seasons[strategy.name], strategy.config
        for place, period in enumerate(season.periods):
            windows.append(plan_window(config, *period, season.source))
            if strategy.kind == "every" and strategy.every == 1:
                fits += [plan_fit(config, period.since, season.source)]
                verdict = plan_verdict(config, period.since, season.source)
                fits += [verdict] if verdict else []
            if strategy.kind == "policy" and config.drift.regret is not None and place:
                fits.append(plan_probe(config, period.since, season.source))
    rows = [fit.rows for fit in fits if isinstance(fit, Fit)]
    workshop.have([*rows, *windows], "reading")
    workshop.have(fits, "training")


def _require_champion(results: Sequence[StrategyResult]) -> None:
    never = results[0]
    if any(turn.version is not None for turn in never.periods):
        return
    last = never.periods[-1]
    kind = TrainingError if last.action == "failed" else DataRefused
    reason = last.reason.removeprefix(f"{NO_CHAMPION}; ").rstrip(".").replace("--as-of", "--from")
    raise kind(
        f"No champion could be had in {len(never.periods)} tries; the last, as of {last.since:%Y-%m-%d}, was "
        f"{last.action}: {reason}. Mend that, or begin later."
    )


def count_cores() -> int:
    """How many processes may compute at once on this machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__ = ["Makers", "Progress", "Tell", "Workshop", "count_cores", "replay"]
