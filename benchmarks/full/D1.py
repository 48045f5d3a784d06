"""Owns the proof D1: where nothing changes, a check seldom says that it did, whatever the window's size."""

from __future__ import annotations

import numpy as np
from checks import check, make_rows, plan
from resumable import prove

CLAIM = (
    "20 independent columns (12 numeric, 8 of 20 categories) of unchanged rows, 5,000 as reference, windows "
    "of 50 to 5,000, max_share 0: at most 1 % of the checks drift, at every size"
)
REFERENCE, SIZES, CHECKS = 5_000, (50, 100, 200, 500, 1_000, 2_000, 5_000), 20


def trial(seed: int) -> dict[str, int]:
    """Hold new windows of every size against one reference."""
    rng = np.random.default_rng([1, seed])
    reference = make_rows(rng, REFERENCE)
    planned = plan(reference)
    found = {}
    for size in SIZES:
        measured = [check(planned, reference, make_rows(rng, size)) for _ in range(CHECKS)]
        found[f"drifted_{size}"] = sum(each.drifted for each in measured)
        found[f"alerts_{size}"] = sum(any(one.alert for one in each.quality) for each in measured)
    return found


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the share of false drifts at each size against the claim."""
    shares = {name: count / (n * CHECKS) for name, count in totals.items()}
    return sum(share > 0.01 for name, share in shares.items() if name.startswith("drifted")), shares


if __name__ == "__main__":
    prove("D1", CLAIM, trial, judge, n=100)
