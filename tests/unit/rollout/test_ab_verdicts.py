"""The verdict on an A/B test: equal arms are seldom told apart however often one looks, others are."""

from __future__ import annotations

import numpy as np
import pytest

from evertrain.evaluation.scores import ClassAnswers, ValueAnswers
from evertrain.rollout.verdicts import ALPHA, ArmOutcomes, Arms, confidence_of_look, judge_arms

ROWS_A_CALLER = 4


def arm(rng, callers, right_share, logged=None):
    """Labelled answers of two classes; a caller's rows are right or wrong together more often than not."""
    rows = callers * ROWS_A_CALLER
    easy = np.repeat(rng.random(callers) < 0.5, ROWS_A_CALLER)
    right = rng.random(rows) < np.where(easy, right_share + 0.2, right_share - 0.2)
    truth = rng.integers(0, 2, rows)
    codes = np.where(right, truth, 1 - truth)
    whose = np.repeat(np.arange(callers), ROWS_A_CALLER)
    return ArmOutcomes(ClassAnswers(truth, codes, None), whose, rows if logged is None else logged)


def first(outcomes, callers):
    """The outcomes of the first *callers*: what was labelled earlier."""
    rows = callers * ROWS_A_CALLER
    answers = outcomes.answers
    kept = ClassAnswers(answers.truth[:rows], answers.codes[:rows], None)
    return ArmOutcomes(kept, outcomes.callers[:rows], rows)


def judge(stable, challenger, *, look=1, metric="accuracy", seed=0):
    return judge_arms(Arms(stable, challenger), metric, share=0.5, look=look, seed=seed)


def test_equal_arms_are_seldom_told_apart_however_often_one_looks():
    """Of 80 tests of equal arms, each looked at four times as labels come, at most a tenth has a verdict."""
    rng = np.random.default_rng(2)
    told_apart = 0
    for trial in range(80):
        arms = [arm(rng, 160, 0.7) for _ in range(2)]
        looks = [
            judge(*(first(each, callers) for each in arms), look=look, seed=trial)
            for look, callers in enumerate((60, 80, 110, 160), 1)
        ]
        told_apart += any(each.verdict != "open" for each in looks)
    assert told_apart <= 8


def test_all_looks_together_spend_the_error_once():
    """Look k gets its part; a thousand of them are still within alpha."""
    assert sum(1 - confidence_of_look(look) for look in range(1, 1_001)) <= ALPHA
    assert confidence_of_look(1) == pytest.approx(0.975)


def test_a_better_arm_wins_and_a_worse_one_loses():
    """Seven points of accuracy on 6,000 rows, in either direction; the reason holds the figures."""
    rng = np.random.default_rng(3)
    good, bad = arm(rng, 1_500, 0.75), arm(rng, 1_500, 0.68)

    better, worse = judge(bad, good), judge(good, bad)

    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.gain == pytest.approx(-worse.gain)
    assert better.low < better.gain < better.high
    assert f"gain {better.gain:+.4f}" in better.reason
    assert "6,000 and 6,000 labelled rows" in better.reason


def test_errors_count_the_other_way_round():
    """Of a loss less is better: gain is in the metric's good direction."""
    rng = np.random.default_rng(4)
    truth, whose = rng.normal(size=4_000), np.arange(4_000) // 4
    arms = [ArmOutcomes(ValueAnswers(truth, truth + off), whose, 4_000) for off in (0.5, 0.1)]

    judged = judge(*arms, metric="mean_absolute_error")

    assert judged.verdict == "better"
    assert judged.gain == pytest.approx(0.4)


def test_rows_of_one_caller_are_no_independent_evidence():
    """The same rows, said to be of many callers or of few: few give the wider interval."""
    rng = np.random.default_rng(5)
    arms = [arm(rng, 400, 0.7) for _ in range(2)]
    alone = [ArmOutcomes(each.answers, np.arange(each.rows), each.rows) for each in arms]

    together, apart = judge(*arms), judge(*alone)

    assert together.high - together.low > 1.1 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("stable", "challenger", "reason"),
    [
        ((40, 40_000), (40, 38_400), "the log holds 38,400 requests of the challenger"),
        ((40, 160), (29, 160), "29 callers of the challenger have labels"),
        ((29, 160), (40, 160), "29 callers of stable have labels"),
    ],
)
def test_what_the_labels_cant_tell_stays_open(stable, challenger, reason):
    """G4: a log that lost a part of one arm gives no verdict, however clear; nor do a handful of callers."""
    rng = np.random.default_rng(6)
    arms = [
        arm(rng, callers, right, logged)
        for (callers, logged), right in zip((stable, challenger), (0.3, 0.8), strict=True)
    ]

    judged = judge(*arms)

    assert (judged.verdict, judged.gain) == ("open", None)
    assert judged.reason.startswith(reason)


def test_one_class_alone_stays_open():
    """No ranking can be told by rows that are all positive."""
    answers = ClassAnswers(np.ones(200, dtype=np.int64), np.ones(200, dtype=np.int64), np.full((200, 2), 0.5))
    outcomes = ArmOutcomes(answers, np.arange(200), 200)

    judged = judge(outcomes, outcomes, metric="roc_auc")

    assert (judged.verdict, judged.reason) == ("open", "all labelled rows of stable are of one class")
