"""Owns the proof G5: challengers that are no better seldom win, and one that is two points better does."""

from __future__ import annotations

import numpy as np
from resumable import prove
from worlds import challenge, make_config

CLAIM = (
    "beats_champion at 95 %: equal challengers are promoted in at most 5 % (AUC, log-loss, accuracy, MAE), "
    "one with +2 points of accuracy at 10 % discordance on 5,000 rows in at least 95 %"
)
ROWS = 1_000
CLASSIFIED = ["roc_auc", "log_loss", "accuracy"]


def beats(metric: str) -> dict[str, str]:
    """Spell the gate on *metric*."""
    return {"type": "beats_champion", "metric": metric}


def trial(seed: int) -> dict[str, int]:
    """Let an equal challenger of each kind, and a better one, meet the champion."""
    rng = np.random.default_rng([5, seed])
    target = rng.random(ROWS) < 0.3
    signal = 2.0 * target + rng.normal(0, 1, ROWS) - 1.4
    ours, theirs = signal + rng.normal(0, 0.6, (2, ROWS))
    config = make_config(CLASSIFIED, [beats(metric) for metric in CLASSIFIED])
    _, gates = challenge(config, ours, theirs, target, seed=seed)
    counts = {f"equal_promoted_{gate.metric}": gate.verdict == "pass" for gate in gates}
    truth = rng.normal(size=ROWS)
    ours, theirs = truth + rng.standard_t(5, (2, ROWS))
    config = make_config(["mean_absolute_error"], [beats("mean_absolute_error")])
    _, (gate,) = challenge(config, ours, theirs, truth, seed=seed)
    counts["equal_promoted_mean_absolute_error"] = gate.verdict == "pass"
    return {**{what: int(count) for what, count in counts.items()}, "better_promoted": better_wins(rng, seed)}


def better_wins(rng: np.random.Generator, seed: int) -> int:
    """Whether two points more, of 5,000 rows of which one in ten differs, are found."""
    target = rng.random(5_000) < 0.5
    fate = rng.choice(4, 5_000, p=[0.06, 0.04, 0.7, 0.2])  # won, lost, both right, both wrong
    sign = np.where(target, 1.0, -1.0)
    ours, theirs = np.where(np.isin(fate, (0, 2)), sign, -sign), np.where(np.isin(fate, (1, 2)), sign, -sign)
    _, (gate,) = challenge(make_config(["accuracy"], [beats("accuracy")]), ours, theirs, target, seed=seed)
    return int(gate.verdict == "pass")


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares against the claim."""
    shares = {what: count / n for what, count in totals.items()}
    failed = sum(share > 0.05 for what, share in shares.items() if what != "better_promoted")
    return failed + (shares["better_promoted"] < 0.95), shares


if __name__ == "__main__":
    prove("G5", CLAIM, trial, judge, n=1_000)
