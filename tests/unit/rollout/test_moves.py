"""What a rollout does next: never onward without evidence, back as soon as there is some against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.release.state import Rollout
from evertrain.rollout.moves import FEWEST_LABELLED, FEWEST_REQUESTS, Pairs, Seen, decide_move
from evertrain.rollout.reports import ShadowTotals

ROLLOUT = Rollout(
    number=7,
    version=2,
    strategy={"type": "canary", "steps": [5, 50, 100], "bake_seconds": 600.0},
    guardrails={"max_error_rate": 0.01, "max_p99_ratio": 1.5},
    step=0,
    step_since="2026-01-01T00:00:00+00:00",
)
ENOUGH = StepCounts(0.05, ArmCounts(19_000), ArmCounts(1_000))


def move(*steps, rollout=ROLLOUT, since_seconds=601.0, **more):
    return decide_move(rollout, Seen(steps or [ENOUGH], since_seconds, **more))


def test_it_bakes_before_it_goes_on():
    """Not before its time, however good it looks; then to the next step, and from the last to the title."""
    early = move(since_seconds=599.0)
    assert (early.kind, early.reason) == ("wait", "bakes for another 1s")
    assert move().kind == "step"
    last = StepCounts(1.0, ArmCounts(), ArmCounts(900))
    assert move(ENOUGH, ENOUGH, last, rollout=replace(ROLLOUT, step=2)).kind == "promote"


@pytest.mark.parametrize(
    ("counts", "more", "cause"),
    [
        (StepCounts(0.05, ArmCounts(), ArmCounts()), {}, "no_data"),
        (StepCounts(0.05, ArmCounts(1_881), ArmCounts(FEWEST_REQUESTS - 1)), {}, "no_data"),
        (ENOUGH, {"answering": 0}, "no_data"),
        (ENOUGH, {"unready": ["its golden rows don't hold"]}, "not_loaded"),
        (StepCounts(0.05, ArmCounts(19_000, errors=8), ArmCounts(1_000, errors=4)), {}, "inconclusive"),
        (StepCounts(0.05, ArmCounts(16_000), ArmCounts(1_600)), {}, "sample_ratio"),
    ],
)
def test_without_evidence_it_pauses_and_says_so_once(counts, more, cause):
    """Each doubt has its name; one that is known already is waited out."""
    found = move(counts, **more)
    assert (found.kind, found.cause) == ("pause", cause)
    assert move(counts, rollout=replace(ROLLOUT, paused=cause), **more).kind == "wait"


def test_errors_end_it_whatever_else_holds():
    """Before it has baked, and while it is paused."""
    bad = StepCounts(0.05, ArmCounts(1_900, errors=1), ArmCounts(100, errors=9))
    for rollout in (ROLLOUT, replace(ROLLOUT, paused="no_data"), replace(ROLLOUT, paused="sample_ratio")):
        found = move(bad, rollout=rollout, since_seconds=1.0)
        assert found.kind == "roll_back"
        assert found.reason.startswith("errors: challenger 9 errors")


def test_what_one_process_proved_ends_it():
    """Its own counts were enough for it to close its arm; those of all together may look harmless."""
    found = move(tripped="latency")
    assert (found.kind, found.reason.partition(":")[0]) == ("roll_back", "latency")


def test_a_doubt_that_is_gone_lets_it_go_on():
    """Requests have come: it bakes on, or takes its step; shares that aren't right need a person."""
    paused = replace(ROLLOUT, paused="no_data")
    assert move(rollout=paused, since_seconds=10.0).kind == "resume"
    assert move(rollout=paused).kind == "step"
    assert move(rollout=replace(ROLLOUT, paused="sample_ratio")).kind == "wait"


def test_a_thousand_rollouts_without_traffic_promote_nothing():
    """R10: whatever the step and however long it takes, without requests no challenger gets more of them."""
    rng = np.random.default_rng(6)
    for _ in range(1_000):
        step = int(rng.integers(3))
        asked = int(rng.integers(FEWEST_REQUESTS))
        share = ROLLOUT.steps[step] / 100
        present = StepCounts(share, ArmCounts(round(asked * (1 - share) / share)), ArmCounts(asked))
        found = move(
            *[ENOUGH] * step,
            present,
            rollout=replace(ROLLOUT, step=step),
            since_seconds=float(rng.uniform(0, 1e6)),
            answering=int(rng.integers(3)),
        )
        assert found.kind in ("wait", "pause")


def test_a_shadow_is_judged_by_its_rows():
    """Failures and slowness roll it back; without rows it pauses; else it takes over."""
    rollout = replace(ROLLOUT, strategy={"type": "shadow", "steps": [0], "bake_seconds": 600.0})
    nobody = StepCounts(0.0, ArmCounts(), ArmCounts())

    def shown(**totals):
        return move(nobody, rollout=rollout, shadow=ShadowTotals(**totals))

    good = shown(compared=900, requests=900, disagreeing=9, score_shift_sum=1.8)
    assert good.kind == "promote"
    assert "1.0% answered otherwise, scores shifted by +0.0020" in good.reason
    assert shown(compared=90, requests=90).cause == "no_data"
    assert shown(compared=200, failed=20, requests=200).kind == "roll_back"
    assert shown(compared=200, slower=190, requests=200).reason.startswith("latency: ")


def test_a_shadow_that_labels_show_to_be_worse_is_rolled_back():
    """McNemar's test on the rows where only one of the two was right, however soon; equal ones pass."""
    rollout = replace(ROLLOUT, strategy={"type": "shadow", "steps": [0], "bake_seconds": 600.0})
    nobody, shadow = StepCounts(0.0, ArmCounts(), ArmCounts()), ShadowTotals(compared=900, requests=900)

    def shown(*pairs, since_seconds=601.0):
        return move(nobody, rollout=rollout, shadow=shadow, pairs=Pairs(*pairs), since_seconds=since_seconds)

    worse = shown(500, 5, 40, since_seconds=1.0)
    assert worse.kind == "roll_back"
    assert worse.reason.startswith("accuracy: ")
    assert "of 500 labelled rows it alone was right on 5, stable alone on 40" in worse.reason
    assert shown(500, 22, 23).kind == shown(500, 40, 5).kind == "promote"
    assert shown(500, 8, 22).cause == "inconclusive"


AB = replace(
    ROLLOUT, strategy={"type": "ab", "steps": [50], "bake_seconds": 600.0, "metric": "roc_auc"}, step=0
)
HALVES = StepCounts(0.5, ArmCounts(1_000), ArmCounts(1_000))


def test_an_ab_test_ends_by_its_metric_alone():
    """After its time it is judged where there are labels, and follows the verdict; requests don't do."""
    assert move(HALVES, rollout=AB, since_seconds=599.0).kind == "wait"
    assert move(HALVES, rollout=AB).kind == "wait"
    few = move(HALVES, rollout=AB, labelled=FEWEST_LABELLED - 1)
    assert (few.kind, few.cause) == ("pause", "no_data")
    assert move(HALVES, rollout=AB, labelled=FEWEST_LABELLED).kind == "judge"
    for verdict, kind in (("better", "promote"), ("worse", "roll_back")):
        judged = replace(AB, looks=1, judged_rows=500, verdict=verdict, verdict_reason="roc_auc …")
        assert move(HALVES, rollout=judged, labelled=None) == (kind, "roc_auc …", None)


def test_an_open_verdict_waits_for_more_labels():
    """It pauses, inconclusive, until a quarter more labels have come; then it is looked at once more."""
    judged = replace(AB, looks=1, judged_rows=400, verdict="open", verdict_reason="gain +0.001")
    found = move(HALVES, rollout=judged, labelled=499)
    assert (found.kind, found.cause) == ("pause", "inconclusive")
    assert found.reason == "gain +0.001; judged again at 500 labelled rows"
    assert move(HALVES, rollout=replace(judged, paused="inconclusive"), labelled=499).kind == "wait"
    assert move(HALVES, rollout=replace(judged, paused="inconclusive"), labelled=500).kind == "judge"


def test_a_wrong_sample_blocks_every_verdict():
    """G4: whatever the metric says, arms that got other shares than meant are not judged by it."""
    skewed = StepCounts(0.5, ArmCounts(52_000), ArmCounts(48_000))
    for verdict in ("better", "worse", "open", None):
        found = move(skewed, rollout=replace(AB, verdict=verdict), labelled=50_000)
        assert (found.kind, found.cause) == ("pause", "sample_ratio")
