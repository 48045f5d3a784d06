"""Owns the proof D3: checks of a stationary stream, one an hour, hardly ever start a retrain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from checks import Rows, check, make_latent, make_rows, plan, spell_rows
from resumable import prove

from evertrain.config import DriftConfig
from evertrain.drift_records import PastCheck
from evertrain.policy import decide_action

CLAIM = (
    "hourly checks of 20 stationary columns, a sliding window of 1,000 rows of which 40 are new, "
    "max_share 0, confirmed by 2 of 3, cooldown 24h: at most 1 false retrain per 1,000 checks; of 50 models "
    "that are checked daily, 150 rows new, any retrains on at most 5 % of days, whether their data have "
    "nothing in common or a correlation of 0.6"
)
REFERENCE, WINDOW, NEW, CHECKS = 10_000, 1_000, 40, 200
MODELS, DAYS, NEW_A_DAY, CORRELATIONS = 50, 4, 150, (0.0, 0.6)
START = datetime(2024, 1, 1, tzinfo=UTC)
POLICY = DriftConfig.model_validate({"confirm": {"checks": 2, "of": 3}, "cooldown": "24h"})


def trial(seed: int) -> dict[str, int]:
    """Follow one stream for two hundred hours, and fleets for some days; do what the policy says."""
    rng = np.random.default_rng([3, seed])
    stream = make_rows(rng, REFERENCE + WINDOW + NEW * CHECKS)
    retrains, drifted = follow(stream, CHECKS, new=NEW, every=timedelta(hours=1))
    counts = {"retrains": len(retrains), "drifted": drifted}
    for correlation in CORRELATIONS:
        days = {day for each in fleet(rng, correlation) for day in each}
        counts |= {f"fleet_days_{correlation}": DAYS, f"fleet_days_with_retrain_{correlation}": len(days)}
    return counts


def fleet(rng: np.random.Generator, correlation: float) -> Iterator[list[int]]:
    """Follow models whose data have a part in common; gives each one's days of retrains."""
    rows = REFERENCE + WINDOW + NEW_A_DAY * DAYS
    shared = np.sqrt(correlation) * make_latent(rng, rows)
    for _ in range(MODELS):
        stream = spell_rows(shared + np.sqrt(1 - correlation) * make_latent(rng, rows))
        yield follow(stream, DAYS, new=NEW_A_DAY, every=timedelta(days=1))[0]


def follow(stream: Rows, checks: int, *, new: int, every: timedelta) -> tuple[list[int], int]:
    """Check *stream* as *new* rows come; gives the checks that started a retrain, and how many drifted."""
    reference = stream.cut(0, REFERENCE)
    planned = plan(reference)
    earlier: list[PastCheck] = []
    retrained, started = None, []
    for number in range(checks):
        start = REFERENCE + new * number
        measured = check(planned, reference, stream.cut(start, start + WINDOW))
        as_of = (START + every * number).isoformat()
        past = PastCheck(as_of=as_of, generation=1, triggers=("data",) if measured.drifted else ())
        action = decide_action(POLICY, past, earlier, generation=1, retrained_as_of=retrained)
        earlier.append(past)
        if action.name == "started":
            retrained = as_of
            started.append(number)
    return started, sum(bool(each.triggers) for each in earlier)


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the shares of checks and of fleets' days with a retrain against the claim."""
    shares = {name: totals[name] / (n * CHECKS) for name in ("retrains", "drifted")}
    days = {
        f"fleet_days_with_retrain_{each}": totals[f"fleet_days_with_retrain_{each}"] / (n * DAYS)
        for each in CORRELATIONS
    }
    return (shares["retrains"] > 0.001) + sum(share > 0.05 for share in days.values()), shares | days


if __name__ == "__main__":
    prove("D3", CLAIM, trial, judge, n=20)
