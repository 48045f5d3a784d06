"""Owns the proof G2: how soon a challenger that fails more often than stable is found."""

from __future__ import annotations

import numpy as np
from canaries import find_errors
from resumable import prove

# The challenger's error rate: its requests by which one in two, and 19 in 20, are found.
SPEEDS = {0.05: (105, 280), 0.02: (600, 1_600), 0.01: (4_000, 10_000), 1.0: (10, 10)}
CLAIM = (
    "share 10 %, stable 0.5 % errors; challenger requests to a rollback, median / 95th percentile at most: "
    "5 % errors 105/280, 2 % 600/1,600, 1 % 4,000/10,000, every request an error 10"
)


def trial(seed: int) -> dict[str, int]:
    """Roll out a challenger of each kind."""
    counts = {}
    for rate, (median, late) in SPEEDS.items():
        rng = np.random.default_rng([2, seed, int(rate * 100)])
        found = find_errors(rng, 12 * late + 500, 0.005, rate)
        counts |= {
            f"{rate:.0%} by {median}": int(found <= median),
            f"{rate:.0%} by {late}": int(found <= late),
        }
    return counts


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares against the half and the 19 in 20."""
    shares = {what: count / n for what, count in totals.items()}
    failed = 0
    for rate, (median, late) in SPEEDS.items():
        failed += (shares[f"{rate:.0%} by {median}"] < 0.5) + (shares[f"{rate:.0%} by {late}"] < 0.95)
    return failed, shares


if __name__ == "__main__":
    prove("G2", CLAIM, trial, judge, n=1_000)
