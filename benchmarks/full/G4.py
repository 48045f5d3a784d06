"""Owns the proof G4: a split that isn't the one that was meant is found, and a right one seldom doubted."""

from __future__ import annotations

import math

import numpy as np
from canaries import NEVER
from resumable import prove

from evertrain.guardrails import SAMPLE_RATIO_ALPHA
from evertrain.sequential import log_e_different

REQUESTS = 24_000
CLAIM = (
    "looked at at every request, alpha 0.1 %: 52/48 for halves is found by 10,500 requests in at least half "
    "and by 24,000 in 95 %; right halves are doubted in at most 0.1 %"
)


def doubt(rng: np.random.Generator, share: float) -> int:
    """Give the requests until halves served at *share* are doubted."""
    bar = math.log(1 / SAMPLE_RATIO_ALPHA)
    for trials, events in enumerate(np.cumsum(rng.random(REQUESTS) < share).tolist(), start=1):
        if log_e_different(events, trials, 0.5) >= bar:
            return trials
    return NEVER


def trial(seed: int) -> dict[str, int]:
    """Serve one right and one wrong split."""
    rng = np.random.default_rng([4, seed])
    found = doubt(rng, 0.52)
    right = doubt(rng, 0.5)
    return {
        "by_10500": int(found <= 10_500),
        "by_24000": int(found <= REQUESTS),
        "right_doubted": int(right < NEVER),
    }


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares against the claim."""
    shares = {what: count / n for what, count in totals.items()}
    failed = (shares["by_10500"] < 0.5) + (shares["by_24000"] < 0.95) + (shares["right_doubted"] > 0.001)
    return int(failed), shares


if __name__ == "__main__":
    prove("G4", CLAIM, trial, judge, n=2_000)
