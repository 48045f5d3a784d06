"""The sequential test: held against SciPy, against its own promise, and against small trees to the end."""

from __future__ import annotations

from math import comb, exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from evertrain.sequential import GREATER, log_e_different, log_e_greater, log_upper_tail

SHARES = st.floats(0.01, 0.99)
SIZES = st.floats(0.5, 1e5)


@given(x=st.floats(1e-4, 1 - 1e-4), a=SIZES, b=SIZES)
def test_the_tail_is_scipy_s(x, a, b):
    """The logarithm of Beta's upper tail, over the whole range that counts can take it to."""
    expected = beta.logsf(x, a, b)
    if expected < -600:
        # SciPy's own has lost its digits there.
        assert log_upper_tail(x, a, b) < -590
    else:
        assert log_upper_tail(x, a, b) == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("test", [log_e_greater, log_e_different])
@given(null=SHARES, trials=st.integers(1, 12))
def test_its_expectation_under_the_null_is_at_most_one(test, null, trials):
    """Summed over every outcome of some trials: what makes peeking free."""
    total = sum(
        comb(trials, events)
        * null**events
        * (1 - null) ** (trials - events)
        * exp(test(events, trials, null))
        for events in range(trials + 1)
    )
    assert total == pytest.approx(1.0, rel=1e-9)


@given(null=st.floats(0.05, 0.95), less=st.floats(0.0, 1.0), trials=st.integers(1, 12))
def test_fewer_events_than_the_null_allows_are_no_evidence(null, less, trials):
    """For every smaller probability, too, the expectation is at most 1: the null is "at most"."""
    share = null * less
    total = sum(
        comb(trials, events)
        * share**events
        * (1 - share) ** (trials - events)
        * exp(log_e_greater(events, trials, null))
        for events in range(trials + 1)
    )
    assert total <= 1.0 + 1e-9


@given(null=SHARES, trials=st.integers(2, 2_000), data=st.data())
def test_more_events_are_more_evidence(null, trials, data):
    """Against "at most", each further event among as many trials speaks louder."""
    events = data.draw(st.integers(0, trials - 1))
    assert log_e_greater(events + 1, trials, null) > log_e_greater(events, trials, null) - 1e-9


def test_it_is_the_mixture_that_it_says():
    """Against numerical integration of the likelihood ratio over the prior cut off at the null."""
    from scipy.integrate import quad

    null, events, trials = 0.1, 7, 20

    def ratio(share):
        likelihood = events * log(share / null) + (trials - events) * log((1 - share) / (1 - null))
        return exp(likelihood) * beta.pdf(share, GREATER.a, GREATER.b)

    mixed = quad(ratio, null, 1)[0] / beta.sf(null, GREATER.a, GREATER.b)
    assert log_e_greater(events, trials, null) == pytest.approx(log(mixed), rel=1e-6)


@pytest.mark.parametrize(
    ("events", "trials", "null", "greater", "different"),
    [
        (0, 0, 0.5, 0.0, 0.0),
        (3, 3, 1.0, 0.0, 0.0),
        (0, 5, 0.0, 0.0, 0.0),
        (1, 5, 0.0, inf, inf),
        (4, 5, 1.0, 0.0, inf),
    ],
)
def test_the_ends_are_told_without_a_fraction(events, trials, null, greater, different):
    """Nothing was tried, or the null allows one outcome alone."""
    assert log_e_greater(events, trials, null) == greater
    assert log_e_different(events, trials, null) == different
