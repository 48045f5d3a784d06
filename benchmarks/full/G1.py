"""Owns the proof G1: a challenger as good as stable is seldom rolled back for errors, whoever looks when."""

from __future__ import annotations

import numpy as np
from canaries import NEVER, find_errors
from resumable import prove

CLAIM = (
    "equal models, 0.5 % errors, share 10 %, 200,000 requests, a look at every event: at most 1 % roll back"
)


def trial(seed: int) -> dict[str, int]:
    """Roll out a challenger that is as good as stable."""
    rng = np.random.default_rng([1, seed])
    return {"rolled_back": int(find_errors(rng, 200_000, 0.005, 0.005) < NEVER)}


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the share against alpha."""
    share = totals["rolled_back"] / n
    return int(share > 0.01), {"rolled_back": share}


if __name__ == "__main__":
    prove("G1", CLAIM, trial, judge, n=2_000)
