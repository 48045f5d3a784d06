from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from evertrain.evaluation.gains import accuracy_gain, exact_interval, same_rows, spread_gain
from evertrain.evaluation.scores import ClassAnswers, ValueAnswers

COUNTS = st.integers(0, 300)
CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99, 0.9992])


@given(COUNTS, COUNTS, st.integers(0, 3000), CONFIDENCES)
def test_the_interval_decides_as_the_exact_test_does(won, lost, alike, confidence):
    """The interval excludes 0 exactly where McNemar's exact two-sided p is under 1 - confidence."""
    low, high = exact_interval(won, lost, won + lost + alike, confidence) if won + lost + alike else (0, 0)
    p = binomtest(won, won + lost, 0.5).pvalue if won + lost else 1.0
    assert (low > 0) == (won > lost and p < 1 - confidence)
    assert (high < 0) == (won < lost and p < 1 - confidence)


@given(COUNTS, COUNTS, st.integers(1, 3000), CONFIDENCES)
def test_the_interval_holds_the_gain_and_mirrors(won, lost, alike, confidence):
    """The gain lies within its interval, and seen from the champion everything changes sign."""
    rows = won + lost + alike
    low, high = exact_interval(won, lost, rows, confidence)
    assert -1 <= low <= (won - lost) / rows + 1e-12
    assert (won - lost) / rows - 1e-12 <= high <= 1
    assert exact_interval(lost, won, rows, confidence) == pytest.approx((-high, -low))


@given(COUNTS, COUNTS, st.integers(1, 3000))
def test_more_confidence_widens_the_interval(won, lost, alike):
    """An interval at higher confidence holds that at a lower one: else Holm's steps could contradict."""
    inner, outer = (exact_interval(won, lost, won + lost + alike, level) for level in (0.9, 0.99))
    assert outer[0] <= inner[0]
    assert inner[1] <= outer[1]


@pytest.mark.parametrize(("differ", "gain"), [(0.1, 0.02), (0.05, 0.04), (0.3, -0.05)])
def test_the_interval_covers_the_truth_away_from_nothing_too(differ, gain):
    """Of 2,000 tables at most 6.5 % lie outside: how many rows differ is itself uncertain, and counted in."""
    rng = np.random.default_rng(0)
    rates = [(differ + gain) / 2, (differ - gain) / 2, 1 - differ]
    missed = 0
    for won, lost, _ in rng.multinomial(1000, rates, size=2000):
        low, high = exact_interval(int(won), int(lost), 1000, 0.95)
        missed += not low <= gain <= high
    assert missed <= 130


def test_the_interval_of_draws_is_their_spread():
    """Low and high lie as far from the gain as Student's t times the draws' standard deviation."""
    draws = np.random.default_rng(0).normal(0.3, 2.0, 1000)
    found = spread_gain(0.25, draws)
    low, high = found.interval(0.95)
    assert found.gain == 0.25
    assert (high - 0.25, 0.25 - low) == pytest.approx([1.96234 * draws.std(ddof=1)] * 2)


def test_draws_without_spread_are_exact():
    """Equal models gain nothing, from 0 to 0 at any confidence, and no zero is negative."""
    found = spread_gain(-0.0, np.zeros(1000))
    assert found.interval(0.9999) == (0, 0)
    assert not np.signbit([found.gain, *found.interval(0.9999)]).any()


def test_accuracy_counts_rows_that_one_model_gets_right():
    """Of five rows the challenger wins two and loses one."""
    truth = np.zeros(5, dtype=np.int64)
    ours, theirs = (
        ClassAnswers(truth, np.array(codes), None) for codes in ([0, 0, 1, 0, 1], [1, 1, 0, 0, 1])
    )
    found = accuracy_gain(ours, theirs)
    assert found.gain == pytest.approx(0.2)
    assert found.interval(0.95) == exact_interval(2, 1, 5, 0.95)


def test_answers_to_some_rows_keep_their_kind():
    """Labels, probabilities and values are taken by place."""
    codes = np.array([0, 1, 2])
    rows = np.array([2, 0])
    kept = same_rows(ClassAnswers(codes, codes, np.eye(3)), rows)
    assert (kept.truth.tolist(), kept.probabilities.tolist()) == ([2, 0], [[0, 0, 1], [1, 0, 0]])
    assert same_rows(ClassAnswers(codes, codes, None), rows).probabilities is None
    assert same_rows(ValueAnswers(codes * 1.0, codes * 2.0), rows).values.tolist() == [4, 0]
