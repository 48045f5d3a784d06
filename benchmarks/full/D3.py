"""Owns the proof D3: checks of a stationary stream, one an hour, hardly ever start a retrain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from checks import check, make_rows, plan
from resumable import prove

from evertrain.config import DriftConfig
from evertrain.drift_records import PastCheck
from evertrain.policy import decide_action

CLAIM = (
    "hourly checks of 20 stationary columns, a sliding window of 1,000 rows of which 40 are new, "
    "max_share 0, confirmed by 2 of 3, cooldown 24h: at most 1 false retrain per 1,000 checks"
)
REFERENCE, WINDOW, NEW, CHECKS = 10_000, 1_000, 40, 200
START = datetime(2024, 1, 1, tzinfo=UTC)
POLICY = DriftConfig.model_validate({"confirm": {"checks": 2, "of": 3}, "cooldown": "24h"})


def trial(seed: int) -> dict[str, int]:
    """Follow one stream for two hundred hours, and do what the policy says."""
    rng = np.random.default_rng([3, seed])
    stream = make_rows(rng, REFERENCE + WINDOW + NEW * CHECKS)
    reference = stream.cut(0, REFERENCE)
    planned = plan(reference)
    earlier: list[PastCheck] = []
    retrained, retrains = None, 0
    for hour in range(CHECKS):
        start = REFERENCE + NEW * hour
        measured = check(planned, reference, stream.cut(start, start + WINDOW))
        as_of = (START + timedelta(hours=hour)).isoformat()
        past = PastCheck(as_of=as_of, generation=1, triggers=("data",) if measured.drifted else ())
        action = decide_action(POLICY, past, earlier, generation=1, retrained_as_of=retrained)
        earlier.append(past)
        if action.name == "started":
            retrained, retrains = as_of, retrains + 1
    return {"retrains": retrains, "drifted": sum(bool(each.triggers) for each in earlier)}


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Hold the share of checks that started a retrain against the claim."""
    shares = {name: count / (n * CHECKS) for name, count in totals.items()}
    return int(shares["retrains"] > 0.001), shares


if __name__ == "__main__":
    prove("D3", CLAIM, trial, judge, n=50)
