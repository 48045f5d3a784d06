"""Owns rollouts that are made up: requests drawn at random, weighed at every one that can tell something."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evertrain.guardrails import ArmCounts, StepCounts, find_breach, weigh

SHARE = 0.1
MAX_ERROR_RATE = 0.01
NEVER = 10**9


def find_errors(rng: np.random.Generator, requests: int, stable: float, challenger: float) -> int:
    """Give the challenger's requests until errors at these rates trip; `NEVER` where they don't."""
    chosen = rng.random(requests) < SHARE
    return first_breach(chosen, rng.random(requests) < np.where(chosen, challenger, stable), slow=False)


def first_breach(chosen: NDArray[np.bool_], event: NDArray[np.bool_], *, slow: bool) -> int:
    """Weigh after every event of the challenger's; after any other request there is only less evidence."""
    ours, theirs, requests = np.cumsum(event & chosen), np.cumsum(event & ~chosen), np.cumsum(chosen)
    for at in np.flatnonzero(event & chosen):
        events = [int(theirs[at]), int(ours[at])]
        counts = [int(at + 1 - requests[at]), int(requests[at])]
        stable, challenger = (
            ArmCounts(count, slow=found) if slow else ArmCounts(count, errors=found)
            for count, found in zip(counts, events, strict=True)
        )
        evidence = weigh([StepCounts(SHARE, stable, challenger)], MAX_ERROR_RATE)
        if find_breach(evidence) == ("latency" if slow else "errors"):
            return counts[1]
    return NEVER
