"""Owns the proof G3: a challenger as quick as stable seldom rolls back, one half as slow again soon does."""

from __future__ import annotations

import numpy as np
from canaries import NEVER, SHARE, first_breach
from numpy.typing import NDArray
from resumable import prove

from evertrain.guardrails import slow_limits

CLAIM = (
    "share 10 %, max_p99_ratio 1.5, times lognormal or Pareto: equal models roll back in at most "
    "1 % of 20,000 requests; a challenger 50 % slower is found by 300 of its requests in at least half"
)


def draw_seconds(rng: np.random.Generator, tail: str, requests: int) -> NDArray[np.float64]:
    """Draw times of answers whose 95th percentile is 1 s."""
    if tail == "lognormal":
        return np.exp(0.5 * (rng.normal(size=requests) - 1.6449))
    return (0.05 / (1 - rng.random(requests))) ** (1 / 3)


def roll_out(rng: np.random.Generator, tail: str, requests: int, slower: float) -> int:
    """Give the challenger's requests until its slowness trips."""
    chosen = rng.random(requests) < SHARE
    seconds = draw_seconds(rng, tail, requests) * np.where(chosen, slower, 1.0)
    stable, challenger = slow_limits(1.0, 1.5)
    return first_breach(chosen, seconds > np.where(chosen, challenger, stable), slow=True)


def trial(seed: int) -> dict[str, int]:
    """Roll out an equal challenger and a slower one, with either tail."""
    rng = np.random.default_rng([3, seed])
    counts = {}
    for tail in ("lognormal", "pareto"):
        counts[f"equal_rolled_back_{tail}"] = int(roll_out(rng, tail, 20_000, 1.0) < NEVER)
        counts[f"slower_found_by_300_{tail}"] = int(roll_out(rng, tail, 4_000, 1.5) <= 300)
    return counts


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares against the claim."""
    shares = {what: count / n for what, count in totals.items()}
    failed = sum(share > 0.01 if what.startswith("equal") else share < 0.5 for what, share in shares.items())
    return failed, shares


if __name__ == "__main__":
    prove("G3", CLAIM, trial, judge, n=1_000)
