"""Owns the proof R10: without evidence no challenger gets more requests, however long it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from resumable import prove

from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.release.state import Rollout
from evertrain.rollout.moves import FEWEST_LABELLED, FEWEST_REQUESTS, Seen, decide_move
from evertrain.rollout.reports import ShadowTotals

CLAIM = (
    "10,000 simulated rollouts of each strategy that takes time, a hundred looks each at any moment: with "
    "too few requests, no process that answers, an unloaded challenger, wrong shares or, of an A/B test, "
    "too few labels, none takes a step or is promoted"
)
ROLLOUTS, LOOKS = 100, 100
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 1.5}
STRATEGIES = {
    "canary": {"type": "canary", "steps": [5, 25, 50, 100], "bake_seconds": 600.0, "metric": None},
    "ab": {"type": "ab", "steps": [50], "bake_seconds": 600.0, "metric": "roc_auc"},
    "shadow": {"type": "shadow", "steps": [0], "bake_seconds": 600.0, "metric": None},
}
LACKS = ("requests", "processes", "challenger", "shares", "labels")


def trial(number: int) -> dict[str, int]:
    """A hundred rollouts of each strategy that lack one thing each."""
    draw = np.random.default_rng(number)
    totals = {"looks": 0, "moved": 0, "paused": 0}
    for kind, strategy in STRATEGIES.items():
        for _ in range(ROLLOUTS):
            begun = Rollout(9, 2, strategy, GUARDRAILS, 0, "2026-01-01T00:00:00+00:00")
            rollout = replace(begun, step=int(draw.integers(len(begun.steps))))
            lack = str(draw.choice(lacks_of(kind, rollout)))
            for _ in range(LOOKS):
                move = decide_move(rollout, look(rollout, lack, draw))
                totals["looks"] += 1
                totals["moved"] += move.kind in ("step", "promote")
                if move.kind == "pause":
                    totals["paused"] += 1
                    rollout = replace(rollout, paused=move.cause)
    return totals


def lacks_of(kind: str, rollout: Rollout) -> list[str]:
    """What a rollout of *kind* may lack: a shadow and a last step have no shares, only an A/B test labels."""
    without = {"labels"} if kind != "ab" else set()
    if not 0 < rollout.percent < 100:
        without.add("shares")
    return [lack for lack in LACKS if lack not in without]


def look(rollout: Rollout, lack: str, draw: np.random.Generator) -> Seen:
    """What is seen at some moment of a rollout that lacks something, and is fine otherwise."""
    share = rollout.percent / 100
    asked = int(draw.integers(FEWEST_REQUESTS)) if lack == "requests" else int(draw.integers(60_000, 90_000))
    wrong = 1.3 if lack == "shares" else 1.0
    stable = round(asked * wrong * (1 - share) / share) if share else 0
    shadow = ShadowTotals(compared=asked, requests=asked) if rollout.kind == "shadow" else None
    good = [
        StepCounts(percent / 100, ArmCounts(round(900 * (100 - percent) / percent)), ArmCounts(900))
        for percent in rollout.steps[: rollout.step]
    ]
    few_labels = int(draw.integers(FEWEST_LABELLED))
    return Seen(
        steps=[*good, StepCounts(share, ArmCounts(stable), ArmCounts(asked))],
        since_seconds=float(draw.uniform(0, 1e6)),
        shadow=shadow,
        unready=("it isn't loaded",) if lack == "challenger" else (),
        answering=0 if lack == "processes" else int(draw.integers(1, 5)),
        labelled=few_labels if lack == "labels" else None,
    )


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """Not one may move, and they do pause."""
    rollouts = n * ROLLOUTS * len(STRATEGIES)
    return (totals["moved"] > 0) + (totals["paused"] == 0), {"rollouts": rollouts, "looks": totals["looks"]}


if __name__ == "__main__":
    prove("R10", CLAIM, trial, judge, n=100)
