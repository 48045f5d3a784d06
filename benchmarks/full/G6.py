"""Owns the proof G6: a 95 % interval holds the truth in 95 %, and is computed quickly."""

from __future__ import annotations

import time

import numpy as np
from resumable import prove
from worlds import challenge, make_config

CLAIM = (
    "95 % intervals of AUC and of MAE on 500 rows hold the true value in 94 to 96 % of 10,000 tables; 1,000 "
    "resamples of 10,000 rows take at most 2 s"
)
ROWS = 500
TRUE_AUC = 0.7602499389065233
"""Phi(1 / sqrt(2)): of two normal scores, one unit apart."""
TRUE_MAE = float(np.sqrt(2 / np.pi))


def trial(seed: int) -> dict[str, int]:
    """Measure one table of each kind."""
    rng = np.random.default_rng([6, seed])
    target = np.arange(ROWS) < ROWS // 2
    found, _ = challenge(
        make_config(["roc_auc"], []), rng.normal(size=ROWS) + target, None, target, seed=seed
    )
    auc = found.metrics["roc_auc"]
    config = make_config(["mean_absolute_error"], [])
    found, _ = challenge(config, rng.normal(size=ROWS), None, np.zeros(ROWS), seed=seed)
    mae = found.metrics["mean_absolute_error"]
    return {
        "held_roc_auc": int(auc.low <= TRUE_AUC <= auc.high),
        "held_mean_absolute_error": int(mae.low <= TRUE_MAE <= mae.high),
    }


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares and the time against the claim."""
    shares = {what: count / n for what, count in totals.items()}
    seconds = min(time_resampling() for _ in range(3))
    failed = sum(not 0.94 <= share <= 0.96 for share in shares.values()) + (seconds > 2)
    return failed, {**shares, "seconds_1000_resamples_of_10000_rows": seconds}


def time_resampling() -> float:
    """Seconds that a whole evaluation in AUC takes on 10,000 rows."""
    rng = np.random.default_rng(6)
    target = np.arange(10_000) < 5_000
    scores = rng.normal(size=10_000) + target
    started = time.perf_counter()
    challenge(make_config(["roc_auc"], []), scores, None, target, seed=0)
    return time.perf_counter() - started


if __name__ == "__main__":
    prove("G6", CLAIM, trial, judge, n=10_000)
