"""The shadow: what is compared, how it is counted, and that nothing of it is ever waited for."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from evertrain.errors import ModelFailed
from evertrain.predictions import Prediction
from evertrain.spelling import spell_categories
from serving.prediction_log.lines import spell_line
from serving.shadow.challenger import TELL_EVERY_SECONDS
from serving.shadow.comparison import Answer, Spread, compare_answers
from serving.shadow.frames import Reply, offer_facts, read_offers
from serving.shadow.ledger import Ledger
from serving.shadow.runner import Falls, Shadow

BOUND_SECONDS = 20
NEAR, FAR = 100.0, 1400.0
HEAVY = {
    "starlette",
    "uvicorn",
    "pandas",
    "sklearn",
    "skops",
    "scipy",
    "boto3",
    "prometheus_client",
    "prefect",
}


def classified(classes, probabilities, seconds=1.0, *, tells=True):
    """An answer of the most probable classes."""
    scores = np.array(probabilities, dtype=np.float64)
    return Answer(Prediction(scores.argmax(axis=1), None, scores if tells else None), classes, seconds)


def regressed(*values, seconds=1.0):
    return Answer(Prediction(values=np.array(values, dtype=np.float64)), None, seconds)


def columns_of(*distances):
    rows = len(distances)
    return {
        "distance": list(distances),
        "carrier": ["UA"] * rows,
        "night flight": [False] * rows,
        "departs": ["2013-01-31T05:00:00Z"] * rows,
    }


def await_counts(shadow, condition):
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition(shadow.counts()):
        assert time.monotonic() < deadline, shadow.counts()
        time.sleep(0.01)
    return shadow.counts()


STABLE = classified(("No", "Yes"), [[0.9, 0.1], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("challenger", "disagreeing", "shift"),
    [
        (classified(("No", "Yes"), [[0.9, 0.1], [0.2, 0.8]]), 0, 0.0),
        (classified(("No", "Yes"), [[0.7, 0.3], [0.6, 0.4]]), 1, -0.2),
        (classified(("Yes", "No"), [[0.1, 0.9], [0.8, 0.2]]), 0, 0.0),
        (classified(("No", "Maybe"), [[0.3, 0.7], [0.2, 0.8]]), 2, -0.9),
        (classified(("No", "Yes"), [[0.1, 0.9], [0.2, 0.8]], tells=False), 1, 0.0),
    ],
    ids=["alike", "others", "other order", "unknown class", "no probabilities"],
)
def test_classes_are_compared_by_what_they_are_called(challenger, disagreeing, shift):
    """Labels and the positive class's probability are compared whatever place they have in either model."""
    found = compare_answers(STABLE, challenger, 1.0)

    assert (found.rows, found.disagreeing) == (2, disagreeing)
    assert found.score_shift == pytest.approx(shift)


def test_of_many_classes_the_answered_one_is_watched():
    """The shift of more than two classes is that of the probability of what stable answered."""
    stable = classified((1, 2, 3), [[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    found = compare_answers(stable, classified((3, 2, 1), [[0.2, 0.3, 0.5], [0.5, 0.4, 0.1]]), 1.0)

    assert found.disagreeing == 0
    assert found.score_shift == pytest.approx((0.5 - 0.6) + (0.5 - 0.8))


def test_numbers_disagree_by_the_spread_of_answers():
    """A number is another one where it lies further off than a tenth of how far answers lie apart."""
    found = compare_answers(regressed(1000.0, 1020.0, 1040.0), regressed(1000.5, 1022.0, 1039.0), 16.0)

    assert (found.rows, found.disagreeing) == (3, 1)
    assert found.score_shift == pytest.approx(1.5)


@pytest.mark.parametrize("middle", [0.0, 1e6, -3.0])
def test_a_spread_told_in_pieces_is_that_of_the_whole(middle):
    """Widened request by request, the scale is the standard deviation of all answers so far."""
    numbers = middle + np.random.default_rng(7).normal(size=100)
    spread = Spread()
    for piece in np.split(numbers, [1, 2, 2, 40]):
        spread = spread.widen(piece)

    assert spread.scale == pytest.approx(float(np.std(numbers)), rel=1e-6)


@pytest.mark.parametrize(("values", "scale"), [([], 1.0), ([0.0, 0.0], 1.0), ([5.0], 5.0), ([-4.0] * 3, 4.0)])
def test_answers_all_alike_have_their_size_for_a_scale(values, scale):
    """Before there is a spread, numbers are told apart by their size."""
    assert Spread().widen(np.array(values)).scale == scale


@pytest.mark.parametrize(
    ("stable", "challenger"),
    [
        (regressed(1.0, 2.0), regressed(1.0)),
        (regressed(1.0), classified((1, 2), [[0.5, 0.5]])),
        (classified((1, 2), [[0.5, 0.5]]), regressed(1.0)),
        (regressed(-1e308), regressed(1e308)),
    ],
)
def test_what_cannot_be_compared_is_the_challengers_failure(stable, challenger):
    """Another number of rows, another task and numbers beyond 64 bits apart are no comparison."""
    with pytest.raises(ModelFailed):
        compare_answers(stable, challenger, 1.0)


def test_the_slower_one_is_told():
    """A request counts as slower where the challenger's model took over half as long again as stable's."""
    slower = compare_answers(regressed(1.0, seconds=0.1), regressed(1.0, seconds=0.16), 1.0)
    faster = compare_answers(regressed(1.0, seconds=0.1), regressed(1.0, seconds=0.14), 1.0)

    assert (slower.is_slower, faster.is_slower) == (True, False)


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.1, np.nan], dtype="<f4"),
        np.array([0.1, np.nan], dtype="<f2"),
        np.array([0.1, 1e300], dtype="<f8"),
        np.array([7, 2**63], dtype="<u8"),
        np.array([True, False]),
        np.array(["UA", None], dtype=object),
        ["UA", None],
        ["a\ud800", 10**30],
        [0.1, -(2**70)],
    ],
    ids=str,
)
def test_a_challenger_is_asked_the_very_values(values):
    """What stable was given comes out of a frame as it went in: each value the same number and category."""
    facts = offer_facts({"carrier": values}, Prediction(codes=np.array([0, 1])), ("No", "Yes"), 0.5)
    (offer,) = read_offers(spell_line(facts))
    found = offer.columns["carrier"]

    assert spell_categories(found).tolist() == spell_categories(values).tolist()
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
    assert offer.stable.prediction.codes.tolist() == [0, 1]
    assert (offer.stable.classes, offer.stable.seconds) == (("No", "Yes"), 0.5)


def test_numbers_and_probabilities_travel_exactly():
    """Stable's answers are compared to the last digit."""
    numbers = np.random.default_rng(7).normal(size=6)
    for sent in (Prediction(values=numbers), Prediction(np.array([0, 1]), None, numbers.reshape(2, 3))):
        (offer,) = read_offers(spell_line(offer_facts({}, sent, None, 0.1)))
        found = offer.stable.prediction
        for ours, theirs in ((found.values, sent.values), (found.probabilities, sent.probabilities)):
            assert (ours is None) == (theirs is None)
            assert ours is None or np.array_equal(ours, theirs)


def test_each_row_is_in_one_count_at_any_time():
    """Whatever is taken, settled, lost or dropped, and in what order: the counts add up to what came."""
    chance = random.Random(7)
    ledger = Ledger(most_bytes=400)
    taken = []

    def settle(done):
        compared = sum(each.rows for each in done[::2])
        ledger.settle(done, Reply(compared=compared, failed=sum(each.rows for each in done) - compared))

    for step in range(3_000):
        ledger.add(chance.randint(0, 5), b"x" * chance.randint(0, 90))
        if step % 3 == 0:
            taken += ledger.take(chance.randint(1, 200))
        if step % 7 == 0:
            chance.choice([ledger.fail, ledger.drop, settle])(taken)
            taken = []
        counts = ledger.counts()
        assert counts.offered == counts.compared + counts.failed + counts.dropped + counts.under_way
    ledger.fail(taken)
    ledger.close()
    counts = ledger.counts()

    assert counts.under_way == 0
    assert min(counts.compared, counts.failed, counts.dropped) > 100


def test_the_queue_is_bounded_and_the_rest_is_dropped(bundle_of):
    """Where nobody takes anything, no more than so many bytes wait; the rest costs next to nothing."""
    bundle = bundle_of()
    columns = columns_of(*[FAR] * 10)
    prediction = bundle.predict(columns)
    shadow = Shadow("none", "d" * 64, most_queued_bytes=50_000)
    for _ in range(1_000):
        shadow.offer(columns, prediction, 0.001, bundle.signature)
    counts = shadow.counts()
    line = spell_line(offer_facts(columns, prediction, bundle.signature.classes, 0.001))

    assert counts.under_way == 10 * (50_000 // len(line))
    assert counts.dropped == 10_000 - counts.under_way


def test_a_request_that_has_no_spelling_is_dropped_and_told(bundle_of, caplog):
    """An offer never raises, whatever stable was sent."""
    bundle = bundle_of()
    prediction = bundle.predict(columns_of(FAR))
    shadow = Shadow("none", "d" * 64)
    for _ in range(3):
        shadow.offer(columns_of(FAR) | {"carrier": [object()]}, prediction, 0.001, bundle.signature)

    assert (shadow.counts().offered, shadow.counts().dropped) == (3, 3)
    assert caplog.text.count("isn't offered a request") == 1


@pytest.mark.e2e
def test_a_challenger_is_compared_row_by_row(store, constant_bundle, bundle_of):
    """A real challenger that says Yes at 0.75 to all: its disagreement and shift are what they must be."""
    bundle = bundle_of()
    requests = [columns_of(NEAR), columns_of(FAR, NEAR, NEAR), columns_of(FAR)] * 20
    with Shadow(store.where, constant_bundle(store, 0.75)) as shadow:
        for number, columns in enumerate(requests):
            # Stable took an hour for every other one, and no time for the rest.
            shadow.offer(columns, bundle.predict(columns), 3600.0 * (number % 2), bundle.signature)
        counts = await_counts(shadow, lambda counts: not counts.under_way)
        facts = (os.getpriority(os.PRIO_PROCESS, shadow.pid), os.getpgid(shadow.pid), shadow.pid)
        score = Path(f"/proc/{shadow.pid}/oom_score_adj")
        chosen = score.read_text() if score.exists() else "1000"

    assert (counts.offered, counts.compared, counts.failed, counts.dropped) == (100, 100, 0, 0)
    assert counts.disagreeing == 60
    assert counts.score_shift_sum == pytest.approx(60 * 0.5)
    assert (counts.requests, counts.slower, counts.restarts) == (60, 30, 0)
    # It goes last for the cores, and first where memory is short.
    assert facts[0] == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert facts[1] == facts[2]
    assert int(chosen) == 1000
    with pytest.raises(ProcessLookupError):
        os.kill(facts[2], 0)


@pytest.mark.e2e
def test_requests_that_come_seldom_are_compared_as_they_come(store, constant_bundle, bundle_of):
    """Requests further apart than the challenger tells of its progress are one after the other compared."""
    bundle = bundle_of()
    with Shadow(store.where, constant_bundle(store, 0.75)) as shadow:
        for number in range(1, 4):
            shadow.offer(columns_of(FAR), bundle.predict(columns_of(FAR)), 0.001, bundle.signature)
            await_counts(shadow, lambda counts, number=number: counts.compared == number)
            time.sleep(1.5 * TELL_EVERY_SECONDS)

        assert shadow.counts().restarts == 0


@pytest.mark.e2e
def test_a_shadow_that_ends_early_leaves_nothing(store, constant_bundle, bundle_of):
    """Ended before its challenger is even loaded: what it was offered is dropped, not failed."""
    bundle = bundle_of()
    with Shadow(store.where, constant_bundle(store, 0.75)) as shadow:
        shadow.offer(columns_of(FAR), bundle.predict(columns_of(FAR)), 0.001, bundle.signature)
        began = time.monotonic()
    shadow.offer(columns_of(FAR), bundle.predict(columns_of(FAR)), 0.001, bundle.signature)
    counts = shadow.counts()

    assert (counts.offered, counts.dropped, counts.failed) == (2, 2, 0)
    assert not counts.has_given_up
    assert time.monotonic() - began < 2


def test_pauses_grow_until_it_is_given_up_unless_it_was_steady():
    """Each restart in a row waits longer, and there is an end to them; ten seconds of comparing clear all."""
    falls = Falls(most_restarts=6)
    pauses = [falls.next_pause(0.5) for _ in range(6)]
    cleared = falls.next_pause(10.5)
    again = [falls.next_pause(9.5) for _ in range(6)]

    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert cleared == 1.0
    assert again == [2.0, 4.0, 8.0, 10.0, 10.0, None]


def test_a_challenger_loads_nothing_heavy():
    """Its process has no web framework, no metrics and no scikit-learn for a bundle in ONNX."""
    program = "import json, sys, serving.shadow.challenger; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )

    assert not HEAVY & {name.split(".")[0] for name in json.loads(done.stdout)}


def test_a_reply_holds_numbers_only():
    """A sum that is no number isn't told: it would spoil every later one."""
    with pytest.raises(ValueError, match="finite"):
        Reply(score_shift=math.nan)
