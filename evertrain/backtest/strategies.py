"""Owns the strategies: when each one retrains, walked period by period; pure.

A walk asks for pieces and is sent what they came to: who works them out, and where, it doesn't know.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import fmean
from typing import Any, Literal, TypeAlias

from evertrain.backtest.periods import Period
from evertrain.backtest.pieces import (
    CheckMade,
    Fit,
    FitMade,
    JudgeMade,
    Made,
    Piece,
    Score,
    ScoreMade,
    VerdictMade,
    plan_check,
    plan_fit,
    plan_judge,
    plan_verdict,
    plan_window,
)
from evertrain.backtest.policing import ask_policy
from evertrain.backtest.standing import Champion, Standing
from evertrain.backtest_records import StrategyResult, Turn, TurnAction
from evertrain.config import PipelineConfig
from evertrain.evaluation import counts_looks
from evertrain.holdouts import LONGEST_LOOK_BACK

Asked: TypeAlias = tuple[Piece, ...]
Walk: TypeAlias = Generator[Asked, Sequence[Any], StrategyResult]
NO_CHAMPION = "there is no champion yet"


@dataclass(frozen=True)
class Strategy:
    """When a pipeline retrains.

    Attributes:
        name: What it is called in tables.
        kind: ``never``, at ``every`` so manieth period, or as the ``policy`` of *config* says.
        config: The pipeline.
        every: For ``every``: 1 is at each period.
        gated: Whether the gates decide who is promoted; else each new model is.
        settings: What *config* differs in from the YAML.
    """

    name: str
    kind: Literal["never", "every", "policy"]
    config: PipelineConfig
    every: int = 1
    gated: bool = True
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Season:
    """What all strategies are walked over.

    Attributes:
        periods: The time that is replayed.
        source: The digest of what the source holds.
        metrics: What champions are scored by.
        same_rows: Whether the held-out rows of the first digest are mostly those of the second.
    """

    periods: tuple[Period, ...]
    source: str
    metrics: tuple[str, ...]
    same_rows: Callable[[str, str], bool] = field(compare=False)


@dataclass(frozen=True)
class Wish:
    """Whether to train, why, and what the check that says so took."""

    trains: bool
    reason: str
    standing: Standing
    seconds: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """What a training came to."""

    action: TurnAction
    reason: str
    standing: Standing
    seconds: float


def walk(strategy: Strategy, season: Season) -> Walk:
    """Walk *strategy* over the periods: at each start decide, and train or not; then score its champions.

    Yields:
        Pieces that it needs next; expects what they came to, by place.
    """
    standing = Standing()
    turns: list[Turn] = []
    crowned: list[Champion | None] = []
    train_seconds = check_seconds = 0.0
    for place, period in enumerate(season.periods):
        wish = yield from _decide(strategy, season, standing, place)
        standing, reason = wish.standing, wish.reason
        action: TurnAction = "none"
        check_seconds += wish.seconds
        if wish.trains:
            attempt = yield from _train(strategy, season, standing, period.since)
            standing, action, reason = attempt.standing, attempt.action, _join(reason, attempt.reason)
            train_seconds += attempt.seconds
        turns.append(_open_turn(period, action, reason, standing.champion))
        crowned.append(standing.champion)
    turns = yield from _score(strategy, season, turns, crowned)
    # Tries before the first champion are none of a retrain.
    retrained = [turn for turn in turns if turn.action not in ("none", "first") and turn.version is not None]
    return StrategyResult(
        name=strategy.name,
        settings=strategy.settings,
        metrics=_mean_metrics(turns, season.metrics),
        retrains=len(retrained),
        promotions=sum(turn.action == "promoted" for turn in turns),
        train_seconds=round(train_seconds, 3),
        check_seconds=round(check_seconds, 3),
        periods=tuple(turns),
    )


def _decide(
    strategy: Strategy, season: Season, standing: Standing, place: int
) -> Generator[Asked, Any, Wish]:
    if standing.champion is None:
        return Wish(True, NO_CHAMPION, standing)
    if strategy.kind == "never":
        return Wish(False, "never retrains", standing)
    if strategy.kind == "every":
        due = place % strategy.every == 0
        return Wish(due, "" if due else "not its turn", standing)
    as_of = season.periods[place].since
    (checked,) = yield (
        plan_check(strategy.config, standing.champion.fit, as_of, season.source, standing.known_until),
    )
    assert isinstance(checked, CheckMade)
    action, standing = ask_policy(strategy.config.drift, checked, standing, as_of)
    return Wish(action.name == "started", action.reason, standing, checked.seconds)


def _train(
    strategy: Strategy, season: Season, standing: Standing, as_of: datetime
) -> Generator[Asked, Any, Attempt]:
    config = strategy.config
    fit = plan_fit(config, as_of, season.source)
    verdict = plan_verdict(config, as_of, season.source)
    made, *judged = yield (fit, verdict) if verdict else (fit,)
    assert isinstance(made, FitMade)
    seconds = made.seconds + sum(each.seconds for each in judged)
    refused = made.refused or next((each.refused for each in judged if isinstance(each, VerdictMade)), None)
    if refused or made.bundle is None:
        action: TurnAction = "refused" if refused else "failed"
        return Attempt(action, refused or made.failed or "", standing, seconds)
    look = _count_look(strategy, season, standing, made)
    if not strategy.gated:
        return Attempt(_promote(standing), "", _crown(standing, fit, made, {}, as_of, look), seconds)
    rival = standing.champion.fit if standing.champion else None
    (judgement,) = yield (plan_judge(config, fit, rival, look),)
    assert isinstance(judgement, JudgeMade)
    seconds += judgement.seconds
    if judgement.failed:
        return Attempt("failed", judgement.failed, standing, seconds)
    if judgement.held:
        kept = _remember_look(standing, made, look).after_retrain(as_of)
        return Attempt("held", "; ".join(judgement.held), kept, seconds)
    crowned = _crown(standing, fit, made, judgement.metrics, as_of, look)
    return Attempt(_promote(standing), "", crowned, seconds)


def _promote(standing: Standing) -> TurnAction:
    return "first" if standing.champion is None else "promoted"


def _crown(
    standing: Standing,
    fit: Fit,
    made: FitMade,
    metrics: dict[str, float],
    as_of: datetime,
    look: int | None,
) -> Standing:
    number = standing.generation + 1
    champion = Champion(number=number, fit=fit, metrics=metrics, as_of=as_of)
    kept = _remember_look(standing, made, look).after_retrain(as_of)
    return replace(kept, champion=champion, generation=number)


def _count_look(strategy: Strategy, season: Season, standing: Standing, made: FitMade) -> int | None:
    """Which challenger this is on (mostly) these held-out rows, as the journal would count it."""
    if standing.champion is None or not strategy.gated or not counts_looks(strategy.config):
        return None
    assert made.holdout is not None
    earlier = standing.looked[-LONGEST_LOOK_BACK:]
    return 1 + sum(season.same_rows(made.holdout, each) for each in earlier)


def _remember_look(standing: Standing, made: FitMade, look: int | None) -> Standing:
    if look is None or made.holdout is None:
        return standing
    return replace(standing, looked=(*standing.looked, made.holdout))


def _open_turn(period: Period, action: TurnAction, reason: str, champion: Champion | None) -> Turn:
    return Turn(
        since=period.since,
        until=period.until,
        action=action,
        reason=reason,
        version=champion.number if champion else None,
        trained_as_of=champion.as_of if champion else None,
        unscored=None if champion else "there is no champion",
    )


def _score(
    strategy: Strategy, season: Season, turns: list[Turn], crowned: list[Champion | None]
) -> Generator[Asked, Any, list[Turn]]:
    """Ask for all scores at once: none depends on another."""
    windows = [plan_window(strategy.config, *period, season.source) for period in season.periods]
    places = [place for place, champion in enumerate(crowned) if champion is not None]
    made = yield tuple(
        Score(champion=champion.fit, window=windows[place], metrics=season.metrics)
        for place, champion in enumerate(crowned)
        if champion is not None
    )
    scored = dict(zip(places, made, strict=True))
    return [_close_turn(turn, scored.get(place), season.metrics) for place, turn in enumerate(turns)]


def _close_turn(turn: Turn, made: Made | None, order: tuple[str, ...]) -> Turn:
    if not isinstance(made, ScoreMade):
        return turn
    metrics = {name: made.metrics[name] for name in order if name in made.metrics}
    return turn.model_copy(update={"rows": made.rows, "metrics": metrics, "unscored": made.reason})


def _mean_metrics(turns: list[Turn], metrics: tuple[str, ...]) -> dict[str, float]:
    found = {name: [turn.metrics[name] for turn in turns if name in turn.metrics] for name in metrics}
    return {name: fmean(values) for name, values in found.items() if values}


def _join(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)
