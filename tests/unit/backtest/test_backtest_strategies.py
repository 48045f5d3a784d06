from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evertrain.backtest import name_strategies
from evertrain.backtest.periods import cut_periods
from evertrain.backtest.pieces import (
    Check,
    CheckMade,
    Fit,
    FitMade,
    Judge,
    JudgeMade,
    Piece,
    RegretMade,
    Score,
    ScoreMade,
    Verdict,
    VerdictMade,
)
from evertrain.backtest.strategies import Season, Strategy, walk
from evertrain.backtest_records import StrategyResult
from tests.unit.backtest.conftest import BEGIN, load

PERIODS = cut_periods(BEGIN + timedelta(days=60), BEGIN + timedelta(days=120), timedelta(days=10))
TIMES = [period.since for period in PERIODS]
Answer = Callable[[Piece], Any]


def answer_well(piece: Piece) -> Any:
    """Every model can be fitted and passes its gates; a model's score is the day that it was trained."""
    if isinstance(piece, Fit):
        return FitMade(bundle="b", snapshot="s", holdout=f"rows {piece.rows.as_of}", seconds=2.0)
    if isinstance(piece, Judge):
        return JudgeMade(metrics={"roc_auc": 0.9}, seconds=1.0)
    if isinstance(piece, Check):
        return CheckMade(rows=500, share=0.0, seconds=0.5)
    if isinstance(piece, Score):
        return ScoreMade(rows=10, metrics={"roc_auc": float((piece.champion.rows.as_of - BEGIN).days)})
    return VerdictMade(seconds=0.25)


def run(strategy: Strategy, answer: Answer = answer_well, same: bool = False) -> StrategyResult:
    season = Season(PERIODS, "source", ("roc_auc",), same_rows=lambda *_: same)
    steps = walk(strategy, season)
    asked = next(steps)
    while True:
        try:
            asked = steps.send([answer(piece) for piece in asked])
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]


def regret(*, at: datetime, gain: float = 0.1) -> Answer:
    """As ``answer_well``, and from *at* on a probe beats a champion that is older."""

    def answer(piece: Piece) -> Any:
        if isinstance(piece, Check) and piece.as_of >= at > piece.champion.rows.as_of:
            found = RegretMade(gain=gain, low=gain / 2, high=gain * 2, rows=100)
            return CheckMade(rows=500, share=0.0, regret=found, seconds=0.5)
        return answer_well(piece)

    return answer


@pytest.mark.parametrize(
    ("kind", "every", "trained"),
    [("never", 1, [0]), ("every", 1, [0, 1, 2, 3, 4, 5]), ("every", 2, [0, 2, 4]), ("every", 4, [0, 4])],
)
def test_a_strategy_trains_at_its_times(turning: Path, kind: Any, every: int, trained: list[int]) -> None:
    """Never: once; every so manieth: counted from the first; each is scored on what comes after it."""
    found = run(Strategy("any", kind, load(turning), every=every))

    assert [place for place, turn in enumerate(found.periods) if turn.action != "none"] == trained
    serving = [max(time for time in trained if time <= place) for place in range(6)]
    assert [turn.trained_as_of for turn in found.periods] == [TIMES[place] for place in serving]
    assert found.metrics["roc_auc"] == sum(60 + 10 * place for place in serving) / 6
    assert (found.retrains, found.promotions) == (len(trained) - 1, len(trained) - 1)
    assert found.train_seconds == pytest.approx(3.0 * len(trained))


def test_a_policy_trains_when_a_check_calls_for_it(turning: Path) -> None:
    """The first check at which regret fires starts the one retrain; the turn says what was measured."""
    found = run(Strategy("policy", "policy", load(turning)), regret(at=TIMES[3]))

    assert [turn.action for turn in found.periods] == ["first", "none", "none", "promoted", "none", "none"]
    assert "regret fired" in found.periods[3].reason
    assert "a probe gains +0.1000 (+0.0500 to +0.2000)" in found.periods[3].reason
    assert found.periods[1].reason.startswith("did nothing, because nothing that retrain_on names has fired")
    assert found.check_seconds == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("overrides", "retrains"),
    [
        ([], 5),
        (["drift.retrain_on=[]"], 0),
        (["drift.retrain_on=[data]"], 0),
        (["drift.regret.min_gain=0.06"], 0),
        (["drift.cooldown=20d"], 3),
        (["drift.confirm={checks: 2, of: 2}"], 4),
        (["drift.budget={retrains: 1, per: 40d}"], 2),
        (["drift.retrain_on=[]", "drift.max_age=15d"], 2),
    ],
)
def test_a_policy_s_own_words_count(turning: Path, overrides: list[str], retrains: int) -> None:
    """Where regret fires at each check and each retrain is held, the policy alone says how many there are."""

    def always_held(piece: Piece) -> Any:
        if isinstance(piece, Judge) and piece.champion is not None:
            return JudgeMade(held=("beats_champion: no",))
        if isinstance(piece, Check):
            found = RegretMade(gain=0.1, low=0.05, high=0.2, rows=100)
            return CheckMade(rows=500, share=0.0, regret=found)
        return answer_well(piece)

    found = run(Strategy("policy", "policy", load(turning, *overrides)), always_held)

    assert (found.retrains, found.promotions) == (retrains, 0)
    assert {turn.version for turn in found.periods} == {1}


def test_too_few_rows_are_no_opinion(turning: Path) -> None:
    """A check of a window without enough rows does nothing, and says so."""

    def few(piece: Piece) -> Any:
        return CheckMade(rows=3) if isinstance(piece, Check) else answer_well(piece)

    found = run(Strategy("policy", "policy", load(turning)), few)
    assert found.retrains == 0
    assert found.periods[2].reason == "3 rows are too few to say anything"


@pytest.mark.parametrize(
    ("fitted", "action"),
    [(FitMade(refused="no rows"), "refused"), (FitMade(failed="no convergence"), "failed")],
)
def test_who_fails_to_train_keeps_the_champion(turning: Path, fitted: FitMade, action: str) -> None:
    """A training that the rows or the estimator prevent is told and counted, and the champion serves on."""

    def answer(piece: Piece) -> Any:
        return fitted if isinstance(piece, Fit) and piece.rows.as_of == TIMES[2] else answer_well(piece)

    found = run(Strategy("always", "every", load(turning)), answer)
    third = found.periods[2]

    assert (third.action, third.version, third.trained_as_of) == (action, 2, TIMES[1])
    assert third.reason in (fitted.refused, fitted.failed)
    assert (found.retrains, found.promotions) == (5, 4)


def test_rows_that_break_an_expectation_are_not_learnt_from(turning: Path) -> None:
    """What Great Expectations refuses is refused, whatever model came of it."""
    expecting = load(turning, "validation.expectations=[{type: expect_table_row_count_to_be_between}]")

    def answer(piece: Piece) -> Any:
        if isinstance(piece, Verdict) and piece.rows.as_of == TIMES[1]:
            return VerdictMade(refused="1 of 1 expectations failed")
        return answer_well(piece)

    found = run(Strategy("always", "every", expecting), answer)
    assert (found.periods[1].action, found.periods[1].version) == ("refused", 1)


def test_who_has_no_champion_tries_until_there_is_one(turning: Path) -> None:
    """Tries before the first champion are no retrains; their periods aren't scored."""

    def answer(piece: Piece) -> Any:
        if isinstance(piece, Judge) and piece.candidate.rows.as_of < TIMES[2]:
            return JudgeMade(held=("threshold: too low",))
        return answer_well(piece)

    found = run(Strategy("never", "never", load(turning)), answer)

    assert [turn.action for turn in found.periods[:4]] == ["held", "held", "first", "none"]
    assert [turn.version for turn in found.periods[:4]] == [None, None, 1, 1]
    assert found.periods[0].unscored == "there is no champion"
    assert (found.retrains, found.metrics["roc_auc"]) == (0, 80.0)


def test_looks_at_the_same_rows_are_counted(turning: Path) -> None:
    """As the journal would: the second challenger on mostly the same held-out rows is judged as a second."""
    looks: list[int | None] = []

    def answer(piece: Piece) -> Any:
        if isinstance(piece, Judge):
            looks.append(piece.look)
            if piece.champion is not None:
                return JudgeMade(held=("beats_champion: no",))
        return answer_well(piece)

    run(Strategy("always", "every", load(turning)), answer, same=True)
    assert looks == [None, 1, 2, 3, 4, 5]
    looks.clear()
    run(Strategy("always", "every", load(turning)), answer, same=False)
    assert looks == [None, 1, 1, 1, 1, 1]


def test_without_gates_every_model_takes_over(turning: Path) -> None:
    """Nothing is judged, and each training promotes."""

    def answer(piece: Piece) -> Any:
        assert not isinstance(piece, Judge)
        return answer_well(piece)

    assert run(Strategy("any", "every", load(turning), gated=False), answer).promotions == 5


def test_strategies_stand_in_one_order(turning: Path) -> None:
    """Never, always with and without gates, every so manieth that fits, the policy, then what is swept."""
    base = load(turning)
    swept = [(("drift.max_share=0.5",), base)]

    assert [each.name for each in name_strategies(base, swept, 8)] == [
        "never",
        "always",
        "always, no gates",
        "every 2",
        "every 3",
        "policy",
        "policy, drift.max_share=0.5",
    ]
    assert [each.name for each in name_strategies(base, (), 1)] == [
        "never",
        "always",
        "always, no gates",
        "policy",
    ]
