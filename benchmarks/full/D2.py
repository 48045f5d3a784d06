"""Owns the proof D2: rows that follow each other alarm no more often than they may."""

from __future__ import annotations

import numpy as np
from checks import check, make_rows, plan
from resumable import prove

CLAIM = (
    "20 stationary AR(1) columns, 10,000 rows as reference, windows of 500 and 2,000 after it, max_share 0: "
    "at most 2 % of the checks drift at phi = .5, at most 5 % at phi = .9"
)
REFERENCE, SIZES, CHECKS = 10_000, (500, 2_000), 10
LIMITS = {0.5: 0.02, 0.9: 0.05}


def trial(seed: int) -> dict[str, int]:
    """Hold windows of a stream, one after the other, against its beginning."""
    found = {}
    for phi in LIMITS:
        rng = np.random.default_rng([2, seed, int(phi * 10)])
        stream = make_rows(rng, REFERENCE + CHECKS * sum(SIZES), phi)
        reference, start = stream.cut(0, REFERENCE), REFERENCE
        planned = plan(reference)
        for size in SIZES:
            drifted = 0
            for _ in range(CHECKS):
                drifted += check(planned, reference, stream.cut(start, start + size)).drifted
                start += size
            found[f"phi_{phi}_{size}"] = drifted
    return found


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold each share against its limit."""
    shares = {name: count / (n * CHECKS) for name, count in totals.items()}
    limits = {
        name: limit for phi, limit in LIMITS.items() for name in shares if name.startswith(f"phi_{phi}_")
    }
    return sum(share > limits[name] for name, share in shares.items()), shares


if __name__ == "__main__":
    prove("D2", CLAIM, trial, judge, n=25)
