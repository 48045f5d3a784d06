"""Owns the proof D7: a score about its threshold retrains once a cooldown, one that comes and goes never."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from resumable import prove
from watchers import Watch

CLAIM = (
    "hourly checks, 1,000 each: a score within 5 % of its threshold starts at most one retrain a cooldown "
    "(6 h, 24 h, 7 d); one with a day's or a week's cycle starts none where confirm spans the cycle, "
    "{checks: 24, of: 24} or {checks: 168, of: 168}, which a lasting rise passes; one that stays is answered "
    "once with rearm, whatever the cooldown"
)
CHECKS, THRESHOLD = 1_000, 0.3
COOLDOWNS = (6, 24, 168)
CYCLES = {"day": 24, "week": 168}


def trial(number: int) -> dict[str, int]:
    """Live through a score of each kind."""
    rng = np.random.default_rng([7, number])
    near = THRESHOLD * rng.uniform(0.95, 1.05, CHECKS)
    counts = {"near_retrains": 0, "near_too_soon": 0, "rearmed_more_than_once": 0}
    for hours in COOLDOWNS:
        steps = live(near, cooldown=f"{hours}h")
        counts["near_retrains"] += len(steps)
        counts["near_too_soon"] += sum(later - first < hours for first, later in pairwise(steps))
        stays = THRESHOLD * rng.uniform(1.01, 1.1, CHECKS)
        again = live(stays, cooldown=f"{hours}h", rearm={"growth": 0.2})
        counts["rearmed_more_than_once"] += int(len(again) != 1)
    for name, period in CYCLES.items():
        hour = np.arange(CHECKS) + rng.integers(period)
        wave = THRESHOLD + rng.uniform(0.02, 0.5) * np.sin(2 * np.pi * hour / period)
        noisy = wave + rng.normal(0, 0.005, CHECKS)
        confirm = {"checks": period, "of": period}
        counts[f"{name}_unconfirmed_retrains"] = len(live(noisy, cooldown="24h"))
        counts[f"{name}_retrains"] = len(live(noisy, cooldown="24h", confirm=confirm))
        risen = np.where(np.arange(CHECKS) < CHECKS // 2, noisy, noisy.max() + THRESHOLD)
        counts[f"{name}_rise_missed"] = int(not live(risen, cooldown="24h", confirm=confirm))
    return counts


def live(scores: np.ndarray, **policy: object) -> list[int]:
    """Check each hour whether the score is above the threshold; give the hours of the retrains."""
    watch, steps = Watch(dict(policy)), []
    for step, score in enumerate(scores.tolist()):
        fired = ("data",) if score > THRESHOLD else ()
        if watch.check(step, fired, {"data": score}).name == "started":
            steps.append(step)
    return steps


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the counts against the claim."""
    never = ("near_too_soon", "rearmed_more_than_once", "day_retrains", "week_retrains")
    missed = ("day_rise_missed", "week_rise_missed")
    figures = {what: count / n for what, count in totals.items()}
    return sum(totals[what] > 0 for what in (*never, *missed)), figures


if __name__ == "__main__":
    prove("D7", CLAIM, trial, judge, n=100)
