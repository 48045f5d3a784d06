"""An A/B test the whole way: real requests and labels, the log in the store, a controller that judges."""

from __future__ import annotations

import random
import time

import httpx
import pytest

from evertrain.release import decide_registered, open_journal
from evertrain.release.rollouts import decide_rollout_started
from evertrain.rollout.label_watch import LabelWatch
from evertrain.rollout.labelled_rows import LabelReader
from serving.fleet import Fleet
from serving.prediction_log.recorder import PredictionLog
from serving.prediction_log.shipper import ship
from serving.reporter import Reporter
from serving.watcher import Watcher
from tests.service.test_challengers import controlled

BOUND_SECONDS = 60
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 50.0}
NEAR = {"distance": 7, "carrier": "UA", "night flight": None, "departs": None}
STABLE, CHALLENGER = 0.25, 0.75
"""What each model takes the chance of Yes for, whatever it is asked."""


def begin(store, challenger):
    """Version 1 serves, and 2 shares its requests until log_loss decides."""
    journal = open_journal(store, "flights", "test")
    facts = {"snapshot": "s" * 64, "config": "c" * 64, "code": "e" * 64}
    journal.append(decide_registered(version=2, run_key="run-2", run_id="r", bundle=challenger, **facts))
    strategy = {"type": "ab", "steps": [50], "bake_seconds": 0.5, "metric": "log_loss"}
    journal.append(decide_rollout_started(version=2, strategy=strategy, guardrails=GUARDRAILS))
    return journal


def judged(store, journal):
    """A controller that reads the labels as they are in the store, until the rollout or the block ends."""
    reader = LabelReader(store, "flights", None, lambda version: journal.read()[1].versions[version])
    # Half a minute between two reads is a second here.
    return controlled(store, LabelWatch(reader, lambda: 30 * time.monotonic()))


def ask(client, number):
    """One caller's request; its arm, and the id of its prediction."""
    headers = {"x-evertrain-entity": f"caller {number % 90}"}
    answer = client.post("/invocations", json={"dataframe_records": [NEAR]}, headers=headers)
    assert answer.status_code == 200
    return answer.headers["x-evertrain-arm"], f"{answer.headers['x-evertrain-request-id']}/0"


def tell(client, predictions, share_of_yes):
    """Say what really happened, as callers do."""
    draw = random.Random(1)
    labels = [
        {"prediction_id": each, "label": "Yes" if draw.random() < share_of_yes else "No"}
        for each in predictions
    ]
    assert client.post("/models/flights/feedback", json={"labels": labels}).status_code == 200


def await_true(condition):
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("share_of_yes", "champion", "ends"), [(0.8, 2, "promoted"), (0.2, 1, "rollout_ended")]
)
def test_labels_decide_who_serves(
    tmp_path, store, constant_bundle, promote, serve, share_of_yes, champion, ends
):
    """Without labels it pauses; once they have come the better arm serves, and the journal holds the look."""
    promote(store, "flights", 1, constant_bundle(store, STABLE))
    journal = begin(store, constant_bundle(store, CHALLENGER))
    fleet, folder = Fleet(), tmp_path / "log"
    watcher = Watcher(store, fleet, ["flights"])
    watcher.look()
    with watcher, Reporter(store, watcher), judged(store, journal):
        with (
            PredictionLog(folder) as log,
            serve(fleet, recorder=log) as address,
            httpx.Client(base_url=address, timeout=BOUND_SECONDS) as client,
        ):
            await_true(lambda: "b" in {ask(client, number)[0] for number in range(9)})
            asked = [ask(client, number) for number in range(400)]
            await_true(lambda: journal.read()[1].rollout.paused == "no_data")
            tell(client, [prediction for _, prediction in asked], share_of_yes)
        assert ship(folder, store)
        await_true(lambda: journal.read()[1].rollout is None)

    entries, state = journal.read()
    assert state.champion == champion
    (look,) = [entry for entry in entries if entry.kind == "rollout_judged"]
    assert look.data["evidence"]["metric"] == "log_loss"
    assert sum(look.data["evidence"]["rows"]) == len(asked)
    assert entries[-1].kind in (ends, "released")
