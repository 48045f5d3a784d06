"""Owns the tests of the tests that may be looked at after every trial."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincc

from evertrain.sequential import log_beta_above, log_e_different, log_e_greater

SIZES = (0.5, 1.0, 2.0, 7.5, 40.0, 333.0, 2_500.0, 20_000.0)
SHARES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.99)
shapes = st.floats(0.2, 5_000)
shares = st.floats(0.001, 0.999)
outcomes = list(itertools.product((0, 1), repeat=6))


def holds_against_scipy(share: float, a: float, b: float) -> bool:
    chance = float(betaincc(a, b, share))
    if not 1e-280 < chance < 1:  # What the reference can't tell from 0 or 1.
        return True
    return log_beta_above(share, a, b) == pytest.approx(math.log(chance), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("share", SHARES)
def test_incomplete_beta_is_scipys_over_a_grid(share: float) -> None:
    """The tail of a Beta variable is SciPy's to nine digits, for shapes from a half to 20,000."""
    assert all(holds_against_scipy(share, a, b) for a in SIZES for b in SIZES)


@given(shares, shapes, shapes)
def test_incomplete_beta_is_scipys_anywhere(share: float, a: float, b: float) -> None:
    """The tail of a Beta variable is SciPy's to nine digits, wherever it is asked."""
    assert holds_against_scipy(share, a, b)


@pytest.mark.parametrize("null_share", [0.05, 0.3, 0.5, 0.9])
def test_bets_against_a_true_null_never_pay(null_share: float) -> None:
    """Over all outcomes of some trials, no share up to the null makes an expected e-value over 1."""
    for true_share in (0.0, null_share / 3, null_share / 1.1, null_share):
        expected = sum(
            math.exp(log_e_greater(sum(way), len(way), null_share))
            * true_share ** sum(way)
            * (1 - true_share) ** (len(way) - sum(way))
            for way in outcomes
        )
        assert expected <= 1 + 1e-12
    assert expected == pytest.approx(1.0, abs=1e-9)  # At the null itself nothing is given away.


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.02, 0.98))
def test_next_trial_is_a_fair_bet(events: int, others: int, null_share: float) -> None:
    """From wherever one stands, the expected e-value after one more trial under the null is today's."""
    trials = events + others
    for weigh in (log_e_greater, log_e_different):
        now = weigh(events, trials, null_share)
        up, down = weigh(events + 1, trials + 1, null_share), weigh(events, trials + 1, null_share)
        after = null_share * math.exp(up - now) + (1 - null_share) * math.exp(down - now)
        assert after == pytest.approx(1.0, abs=1e-9)


@given(st.integers(1, 500), st.data(), shares)
def test_more_events_are_more_evidence(trials: int, data: st.DataObject, null_share: float) -> None:
    """Of as many trials, one more event never lessens the evidence that there are too many."""
    events = data.draw(st.integers(0, trials - 1))
    less, more = (log_e_greater(count, trials, null_share) for count in (events, events + 1))
    assert more > less - 1e-9


@pytest.mark.parametrize("weigh", [log_e_greater, log_e_different])
@pytest.mark.parametrize("null_share", [0.0, 0.2, 1.0])
def test_nothing_seen_is_no_evidence(weigh: type[float], null_share: float) -> None:
    """Before the first trial the e-value is 1, whatever the null share."""
    assert weigh(0, 0, null_share) == 0.0  # type: ignore[call-arg]


def test_what_cannot_be_under_the_null_is_certain_evidence() -> None:
    """An event where none can be, or none where all must be, settles it; what must be is no evidence."""
    assert log_e_greater(1, 9, 0.0) == math.inf
    assert log_e_greater(0, 9, 0.0) < 0
    assert log_e_greater(9, 9, 1.0) == 0.0
    assert log_e_different(1, 9, 0.0) == log_e_different(8, 9, 1.0) == math.inf
    assert log_e_different(0, 9, 0.0) == log_e_different(9, 9, 1.0) == 0.0


@pytest.mark.parametrize(("events", "trials", "share"), [(3, 2, 0.5), (-1, 2, 0.5), (1, 2, 1.5)])
def test_impossible_counts_are_refused(events: int, trials: int, share: float) -> None:
    """More events than trials, fewer than none, or a share outside [0, 1] is an error that says so."""
    with pytest.raises(ValueError, match="expected"):
        log_e_greater(events, trials, share)
    with pytest.raises(ValueError, match="expected"):
        log_e_different(events, trials, share)
