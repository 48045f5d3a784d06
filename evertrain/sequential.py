"""Owns the one sequential test: an exact Beta-mixture e-process that may be looked at after every event.

For trials that are events with probability p, and a null share w, the likelihood ratio of p against w is
averaged over a Beta distribution of p. Under the null its expectation is at most 1 however long it runs, so
by Ville's inequality it ever reaches 1/alpha with probability at most alpha: peeking costs nothing.

Sources: Robbins, "Statistical methods related to the law of the iterated logarithm" (1970), for mixtures;
Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid inference" (2023), for
e-processes.
"""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p
from typing import NamedTuple

_TINY = 1e-300
_PRECISE = 1e-15
_MOST_TERMS = 10_000


class Prior(NamedTuple):
    """A Beta distribution: ``a`` imagined events and ``b`` imagined others."""

    a: float
    b: float


GREATER = Prior(1.0, 3.0)
"""Leans to shares that are a little greater: those take longest to find."""
CONCENTRATION = 1_000.0
"""Of the prior around the null: differences of some percent are found soonest."""


def log_e_greater(events: int, trials: int, null_share: float, prior: Prior = GREATER) -> float:
    """The natural logarithm of the e-value against "each trial is an event with probability <= *null_share*".

    The mixture is *prior* cut off below the null share, so that fewer events than expected are no evidence.

    Args:
        events: How many of the trials were events.
        trials: How many there were.
        null_share: In [0, 1].
        prior: What a greater share may be.
    """
    if not trials or null_share >= 1.0:
        return 0.0
    if null_share <= 0.0:
        return inf if events else 0.0
    a, b = prior.a + events, prior.b + trials - events
    mixed = _log_beta(a, b) + log_upper_tail(null_share, a, b)
    mixed -= _log_beta(prior.a, prior.b) + log_upper_tail(null_share, prior.a, prior.b)
    return mixed - _log_likelihood(events, trials, null_share)


def log_e_different(events: int, trials: int, null_share: float) -> float:
    """The natural logarithm of the e-value against "each trial is an event with probability *null_share*".

    Args:
        events: How many of the trials were events.
        trials: How many there were.
        null_share: In [0, 1].
    """
    if not trials:
        return 0.0
    if null_share <= 0.0 or null_share >= 1.0:
        return inf if events != round(null_share) * trials else 0.0
    a, b = CONCENTRATION * null_share, CONCENTRATION * (1.0 - null_share)
    mixed = _log_beta(a + events, b + trials - events) - _log_beta(a, b)
    return mixed - _log_likelihood(events, trials, null_share)


def log_upper_tail(x: float, a: float, b: float) -> float:
    """The natural logarithm of the probability that a Beta(a, b) variable is over *x*, in (0, 1)."""
    # The continued fraction converges on the side of x away from the mean; the other side is its complement.
    if x > (a + 1.0) / (a + b + 2.0):
        return _log_tail(1.0 - x, b, a)
    below = _log_tail(x, a, b)
    return log1p(-exp(below)) if below < 0.0 else -inf


def _log_tail(x: float, a: float, b: float) -> float:
    """The logarithm of the regularised incomplete beta function I_x(a, b), for x below the mean."""
    front = a * log(x) + b * log1p(-x) - _log_beta(a, b) - log(a)
    return front + log(_continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Lentz's method for the fraction of I_x(a, b) (DLMF 8.17.22)."""
    ratio = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (ratio if abs(ratio) > _TINY else _TINY)
    c = 1.0
    result = d
    for term in range(1, _MOST_TERMS):
        even = term * (b - term) * x / ((a + 2 * term - 1) * (a + 2 * term))
        odd = -(a + term) * (a + b + term) * x / ((a + 2 * term) * (a + 2 * term + 1))
        for factor in (even, odd):
            d = 1.0 + factor * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + factor / c
            c = c if abs(c) > _TINY else _TINY
            result *= c * d
        if abs(c * d - 1.0) < _PRECISE:
            break
    return result


def _log_likelihood(events: int, trials: int, share: float) -> float:
    return events * log(share) + (trials - events) * log1p(-share)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
