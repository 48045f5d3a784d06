"""Owns the proof G7: of twenty challengers on one hold-out, none of them better, chance promotes none."""

from __future__ import annotations

import numpy as np
from resumable import prove
from worlds import challenge, make_config

CLAIM = (
    "over 20 successive equal challengers on one hold-out a wrong promotion has a chance of at most 5 %; "
    "judged each at the stated confidence it would be several times that"
)
ROWS = 400
CHALLENGERS = 20


def trial(seed: int, challengers: int = CHALLENGERS) -> dict[str, int]:
    """Let equal challengers meet one champion on the same rows, each at the next look."""
    rng = np.random.default_rng([7, seed])
    target = rng.random(ROWS) < 0.4
    signal = 1.2 * target + rng.normal(0, 1, ROWS)
    theirs = signal + rng.normal(0, 0.5, ROWS)
    config = make_config(["roc_auc"], [{"type": "beats_champion", "metric": "roc_auc"}])
    promoted = naively = False
    for look in range(1, challengers + 1):
        ours = signal + rng.normal(0, 0.5, ROWS)
        _, (gate,) = challenge(config, ours, theirs, target, seed=seed * CHALLENGERS + look, look=look)
        promoted |= gate.verdict == "pass"
        naively |= beats_without_ledger(gate.gain or 0.0, gate.low or 0.0, look)
    return {"wrongly_promoted": int(promoted), "wrongly_promoted_without_ledger": int(naively)}


def beats_without_ledger(gain: float, low: float, look: int) -> bool:
    """Whether the same gain would win at 95 %: its interval is wider by the ratio of the two quantiles."""
    from scipy.special import stdtrit

    from evertrain.gates.looks import judged_confidence

    judged, stated = ((1 + level) / 2 for level in (judged_confidence(0.95, look), 0.95))
    return bool(gain - (gain - low) * stdtrit(999, stated) / stdtrit(999, judged) > 0)


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the family's error against the claim."""
    shares = {what: count / n for what, count in totals.items()}
    return int(shares["wrongly_promoted"] > 0.05), shares


if __name__ == "__main__":
    prove("G7", CLAIM, trial, judge, n=2_000)
