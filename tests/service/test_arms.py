"""Which arm a request gets: sticky, in the share that was meant; the champion's answer where one fails."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from evertrain.predictions import Prediction
from serving.arms import BUCKETS, Challenge, Lineup, bucket_of, choose_arm
from serving.fleet import Fleet, Served
from serving.protocols import JSON, Call
from serving.protocols.mlflow_scoring import MLFLOW_SCORING
from serving.scoring import caller_key
from serving.tally import Tally

GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 1.5}
ROW = {"distance": 7, "carrier": "UA", "night flight": None, "departs": None}


def never(_inputs):
    raise ArithmeticError("no")


@pytest.fixture
def lineup_of(bundle_of):
    """A champion 3 and a challenger 4, which gets *percent* of the requests."""

    def make(percent, run=None, kind="canary", rollout=17, **more):
        challenger = bundle_of(digest="e" * 64) if run is None else bundle_of(run, digest="e" * 64)
        challenge = Challenge(
            served=Served("flights", 4, 2, challenger),
            rollout=rollout,
            kind=kind,
            step=0,
            percent=percent,
            tally=Tally([percent], GUARDRAILS),
            **more,
        )
        return Lineup(Served("flights", 3, 2, bundle_of()), challenge)

    return make


def versions(lineup, keys):
    return [choose_arm(lineup, key).served.version for key in keys]


def test_a_growing_share_moves_nobody_back(lineup_of):
    """Whoever the challenger answers at 5 % is answered by it at 25, 50 and 100 %."""
    keys = [f"caller {number}" for number in range(4_000)]
    by_percent = [versions(lineup_of(percent), keys) for percent in (5, 25, 50, 100)]

    for fewer, more in pairwise(by_percent):
        assert all(later >= earlier for earlier, later in zip(fewer, more, strict=True))
    assert set(by_percent[-1]) == {4}
    assert versions(lineup_of(25), keys) == by_percent[1]


@pytest.mark.parametrize("percent", [5, 25, 50])
def test_the_share_is_what_was_meant(lineup_of, percent):
    """Of 200,000 callers within three standard deviations."""
    count, share = 200_000, percent / 100
    found = sum(bucket_of(17, f"caller {number}") < share * BUCKETS for number in range(count))
    assert abs(found - share * count) < 3 * (count * share * (1 - share)) ** 0.5


def test_buckets_are_even_and_rollouts_independent():
    """A hundred parts are filled alike, and who fell where in one rollout says nothing of the next."""
    keys = [f"caller {number}" for number in range(100_000)]
    parts = Counter(bucket_of(17, key) * 100 // BUCKETS for key in keys)
    assert chisquare([parts[part] for part in range(100)]).pvalue > 0.001
    low = [key for key in keys if bucket_of(17, key) < BUCKETS // 2]
    again = np.mean([bucket_of(18, key) < BUCKETS // 2 for key in low])
    assert again == pytest.approx(0.5, abs=0.01)


@given(key=st.text(max_size=50))
def test_any_key_has_a_bucket(key):
    """Also one that is no UTF-8; the same each time."""
    assert 0 <= bucket_of(1, key) == bucket_of(1, key) < BUCKETS


@pytest.mark.parametrize("closed", ["held_back", "tripped"])
def test_who_is_not_watched_answers_nothing(lineup_of, closed):
    """Without a controller, or after a guardrail was crossed here, the champion answers everyone."""
    lineup = lineup_of(100, held_back=closed == "held_back")
    if closed == "tripped":
        lineup.challenge.tally.tripped = "errors"
    assert set(versions(lineup, map(str, range(100)))) == {3}


@pytest.mark.parametrize(("kind", "names"), [("canary", ["stable", "canary"]), ("ab", ["a", "b"])])
def test_the_headers_name_the_arm(asker, bundle_of, lineup_of, kind, names):
    """Each answer says which version gave it, and for which arm."""
    lineup = lineup_of(50, kind=kind)
    service = asker(bundle_of())
    service.fleet.put(lineup.stable, lineup.challenge)
    seen = set()
    for number in range(40):
        answer = service.post({"instances": [list(ROW.values())]}, x_evertrain_entity=f"caller {number}")
        assert answer.status_code == 200
        seen.add((answer.headers["x-evertrain-arm"], answer.headers["x-evertrain-version"]))

    assert seen == {(names[0], "3"), (names[1], "4")}


@pytest.mark.parametrize(
    "run", [never, lambda _: Prediction(codes=np.array([0]), probabilities=np.array([[np.nan, np.nan]]))]
)
def test_what_the_challenger_cannot_the_champion_answers(asker, bundle_of, lineup_of, run):
    """A model that raises or gives NaN costs no caller an answer; it counts as that arm's error."""
    lineup = lineup_of(100, run)
    service = asker(bundle_of())
    service.fleet.put(lineup.stable, lineup.challenge)
    answer = service.post({"instances": [list(ROW.values())]})

    assert (answer.status_code, answer.headers["x-evertrain-arm"]) == (200, "stable")
    assert answer.headers["x-evertrain-version"] == "3"
    counts = lineup.challenge.tally.steps()[0]
    assert (counts.challenger.requests, counts.challenger.errors, counts.stable.requests) == (1, 1, 0)
    metrics = service.get("/metrics").text
    assert 'evertrain_arm_failures_total{arm="canary",model="flights",version="4"} 1.0' in metrics


def test_a_guardrail_closes_the_challenger_here_at_once(asker, bundle_of, lineup_of):
    """Errors of the challenger alone: after a few of them this process sends it nothing more."""
    lineup = lineup_of(50, never)
    service = asker(bundle_of())
    service.fleet.put(lineup.stable, lineup.challenge)
    for _ in range(60):
        assert service.post({"instances": [list(ROW.values())]}).status_code == 200

    assert lineup.challenge.tally.tripped == "errors"
    assert lineup.challenge.tally.steps()[0].challenger.requests < 20


def call(body, **headers):
    return Call(body, JSON, {name.encode(): text for name, text in headers.items()}, "r1")


def test_a_caller_is_its_entity_or_its_request(lineup_of):
    """The header names it; else its entity columns, where all rows agree; else the request is its own."""
    lineup = lineup_of(50)

    def key(rows, **headers):
        body = json.dumps({"dataframe_records": rows}).encode()
        return caller_key(lineup, MLFLOW_SCORING, call(body, **headers), 100)

    with_entity = [{**ROW, "flight": "UA 7"}]
    assert key(with_entity, **{"x-evertrain-entity": b"boss"}) == "entity boss"
    assert key(with_entity) == key(with_entity * 3) == "entity UA 7"
    assert key([*with_entity, {**ROW, "flight": "UA 8"}]) == "call r1"
    assert key([ROW]) == "call r1"


def test_a_version_that_was_asked_for_answers_alone(bundle_of, lineup_of):
    """V2's address of a version is the champion's, whatever challenges it."""
    fleet = Fleet()
    lineup = lineup_of(100)
    fleet.put(lineup.stable, lineup.challenge)
    assert fleet.lineup("flights", "3") == Lineup(lineup.stable)
