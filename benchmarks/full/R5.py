"""Owns the proof R5: callers stay with their arm, shares are what was meant, rollouts split independently."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from resumable import prove

from serving.arms import BUCKETS, bucket_of

CLAIM = (
    "a million callers in each of twenty rollouts: a caller's bucket is always the same, raising 5 to 25 to "
    "50 to 100 % moves nobody back, of 60 shares at most one is over 3 standard deviations off, a hundred "
    "parts are filled alike (chi-squared, p > .001) and so are the halves of another rollout (within 4)"
)
CALLERS = 1_000_000
PERCENTS = (5, 25, 50, 100)
PARTS = 100
CHI_SQUARED = 148.2
"""Of 99 degrees of freedom, exceeded by one in a thousand."""


def trial(number: int) -> dict[str, int]:
    """Sort a million callers into the buckets of one rollout, and of the next."""
    rollout = 10 * number + 3
    buckets = np.array([bucket_of(rollout, f"caller {each}") for each in range(CALLERS)])
    again = np.array([bucket_of(rollout, f"caller {each}") for each in range(0, CALLERS, 100)])
    reached = [buckets < percent / 100 * BUCKETS for percent in PERCENTS]
    shares = [(percent / 100, here) for percent, here in zip(PERCENTS, reached, strict=True) if percent < 100]
    off = [abs(here.mean() - share) / (share * (1 - share) / CALLERS) ** 0.5 for share, here in shares]
    filled = np.bincount(buckets * PARTS // BUCKETS, minlength=PARTS)
    even = CALLERS / PARTS
    low = np.flatnonzero(buckets < BUCKETS // 2)[: CALLERS // 4]
    later = np.array([bucket_of(rollout + 1, f"caller {each}") < BUCKETS // 2 for each in low])
    return {
        "unlike": int((again != buckets[::100]).sum()),
        "moved_back": sum(int((fewer & ~more).sum()) for fewer, more in pairwise(reached)),
        "not_all": int((~reached[-1]).sum()),
        "shares": len(off),
        "shares_off": sum(each > 3 for each in off),
        "uneven": int(((filled - even) ** 2 / even).sum() > CHI_SQUARED),
        "dependent": int(abs(later.mean() - 0.5) * 2 * len(later) ** 0.5 > 4),
    }


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Nobody moves; what chance may do once in a while it does no more often."""
    never = sum(totals[what] > 0 for what in ("unlike", "moved_back", "not_all", "dependent"))
    # Of sixty shares one is further off than three deviations by chance in one set of six; two never are.
    seldom = (totals["shares_off"] > 1) + (totals["uneven"] > 1)
    return never + seldom, {"shares_off": totals["shares_off"] / totals["shares"], "callers": CALLERS * n}


if __name__ == "__main__":
    prove("R5", CLAIM, trial, judge, n=20)
