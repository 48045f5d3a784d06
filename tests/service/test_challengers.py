"""A challenger beside a champion: real processes' reports, a real controller, real requests."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress

import httpx
import pytest

from evertrain.claims import claim
from evertrain.release import decide_registered, decide_rolled_back, open_journal
from evertrain.release.rollouts import decide_rollout_ended, decide_rollout_started
from evertrain.rollout.controller import RolloutController
from evertrain.rollout.replicas import await_acknowledged
from evertrain.storage import open_store
from serving.fleet import Fleet
from serving.reporter import Reporter
from serving.watcher import Watcher

BOUND_SECONDS = 30
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 20.0}
NEAR = {"distance": 7, "carrier": "UA", "night flight": None, "departs": None}
FAR = {**NEAR, "distance": 6_000}


class EndedByTest(Exception):
    """Ends a controller between two looks, as its process' end does."""


def begin(store, bundle, *, steps, bake_seconds, version=2, kind="canary"):
    """Register *bundle* as *version* and begin its rollout."""
    journal = open_journal(store, "flights", "test")
    facts = {"snapshot": "s" * 64, "config": "c" * 64, "code": "e" * 64}
    journal.append(
        decide_registered(version=version, run_key=f"run-{version}", run_id="r", bundle=bundle, **facts)
    )
    strategy = {"type": kind, "steps": list(steps), "bake_seconds": bake_seconds, "metric": None}
    journal.append(decide_rollout_started(version=version, strategy=strategy, guardrails=GUARDRAILS))
    return journal


@contextmanager
def replicas(store, serve, count):
    """Some processes of the service, as threads of this one; gives their addresses."""
    with ExitStack() as stack:
        addresses = []
        for _ in range(count):
            fleet = Fleet()
            watcher = Watcher(store, fleet, ["flights"])
            watcher.look()
            addresses.append(stack.enter_context(serve(fleet)))
            stack.enter_context(watcher)
            stack.enter_context(Reporter(store, watcher))
        yield addresses


@contextmanager
def controlled(store, labels=None):
    """A controller that walks the rollout in a thread, until it has ended or the block does.

    *labels* is what watches late labels for it, where any do.
    """
    over = threading.Event()

    def sleep(seconds):
        if over.wait(seconds):
            raise EndedByTest

    def walk():
        journal = open_journal(store, "flights", "controller")
        watching = labels or nullcontext()
        with watching, suppress(EndedByTest), claim(journal, store, "rollout") as held:
            RolloutController(journal, store, fence=held.number, sleep=sleep, labels=labels).run()

    thread = threading.Thread(target=walk)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(BOUND_SECONDS)
        assert not thread.is_alive()


def find_pause(journal, cause):
    """The last entry that paused the rollout for *cause*; None if there is none."""
    found = [entry for entry in journal.read()[0] if entry.data.get("cause") == cause]
    return found[-1] if found else None


class Callers:
    """Asks all addresses in turn, each time as another caller; keeps when and by which arm it was told."""

    def __init__(self, addresses, row=NEAR):
        self.row = row
        self.answers = []
        self._addresses = itertools.cycle(addresses)
        self._numbers = itertools.count()
        self._client = httpx.Client(timeout=BOUND_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.close()

    def ask(self):
        began = time.time()
        answer = self._client.post(
            f"{next(self._addresses)}/invocations",
            json={"dataframe_records": [self.row]},
            headers={"x-evertrain-entity": f"caller {next(self._numbers)}"},
        )
        assert answer.status_code == 200
        self.answers.append((began, answer.headers["x-evertrain-arm"]))
        return answer

    def ask_until(self, condition):
        deadline = time.monotonic() + BOUND_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            self.ask()

    def arms(self, since=0.0):
        return {arm for began, arm in self.answers if began >= since}


@pytest.fixture(params=["a folder", "S3"])
def any_store(request, store):
    """A store of each kind; S3 is a real server's."""
    if request.param == "a folder":
        return store
    return open_store(f"s3://{request.getfixturevalue('s3_bucket')}/evertrain")


@pytest.mark.e2e
def test_a_bad_canary_is_rolled_back_and_no_caller_is_let_down(any_store, constant_bundle, promote, serve):
    """It fails on far flights alone: every request is answered, and soon the champion answers all of them."""
    store = any_store
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    with replicas(store, serve, 2) as addresses, Callers(addresses) as callers:
        bad = constant_bundle(store, 0.75, fails_over=5_000)
        journal = begin(store, bad, steps=[20, 100], bake_seconds=60)
        with controlled(store):
            callers.ask_until(lambda: "canary" in callers.arms())
            callers.row = FAR
            callers.ask_until(lambda: journal.read()[1].rollout is None)
            ended = time.time()
            callers.ask_until(lambda: time.time() > ended + 1.5)

    _, state = journal.read()
    assert (state.champion, state.versions[2].status) == (1, "rejected")
    assert "errors: challenger" in state.versions[2].reasons[0]
    assert callers.arms(since=ended + 1.0) == {"stable"}


@pytest.mark.e2e
def test_a_good_canary_becomes_champion(store, constant_bundle, promote, serve):
    """Step by step, each with its requests; the old champion's callers end up with the new one."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    with replicas(store, serve, 2) as addresses, Callers(addresses) as callers:
        journal = begin(store, constant_bundle(store, 0.75), steps=[30, 100], bake_seconds=0.5)
        with controlled(store):
            callers.ask_until(lambda: journal.read()[1].champion == 2)
        assert await_acknowledged(store, "flights", 2) == (2, [])
        last = callers.ask()

    entries = journal.read()[0]
    moves = [entry for entry in entries if entry.kind.startswith("rollout_st") or "rollout" in entry.data]
    assert [entry.kind for entry in moves if not entry.kind.endswith(("paused", "resumed"))] == [
        "rollout_started",
        "rollout_stepped",
        "promoted",
    ]
    assert callers.arms() == {"stable", "canary"}
    assert (last.headers["x-evertrain-version"], last.headers["x-evertrain-arm"]) == ("2", "stable")
    assert all(step["challenger"]["requests"] >= 100 for step in moves[-1].data["evidence"]["steps"])


@pytest.mark.e2e
@pytest.mark.fault
def test_without_a_controller_nobody_meets_the_canary(store, constant_bundle, promote, serve):
    """Before one lives, and within seconds after it has died, the champion answers everyone."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    with replicas(store, serve, 1) as addresses, Callers(addresses) as callers:
        begin(store, constant_bundle(store, 0.75), steps=[50, 100], bake_seconds=600)
        began = time.time()
        callers.ask_until(lambda: time.time() > began + 1.5)
        assert callers.arms() == {"stable"}
        with controlled(store):
            callers.ask_until(lambda: "canary" in callers.arms())
        died = time.time()
        callers.ask_until(lambda: time.time() > died + 6)

    assert callers.arms(since=died + 5) == {"stable"}


@pytest.mark.e2e
def test_a_canary_that_cannot_be_loaded_meets_nobody(store, constant_bundle, promote, serve):
    """Its golden rows don't hold: the rollout pauses, and its reason is in the journal."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    with replicas(store, serve, 1) as addresses, Callers(addresses) as callers:
        broken = constant_bundle(store, 0.75, golden_late=0.5)
        journal = begin(store, broken, steps=[50, 100], bake_seconds=1.0)
        with controlled(store):
            callers.ask_until(lambda: find_pause(journal, "not_loaded"))

    assert "golden rows" in find_pause(journal, "not_loaded").reason
    assert callers.arms() == {"stable"}


@pytest.mark.e2e
def test_the_way_back_is_warm(store, constant_bundle, promote, serve):
    """After a promotion the champion before is still in memory: a rollback loads nothing."""
    first = constant_bundle(store, 0.25)
    promote(store, "flights", 1, first)
    with replicas(store, serve, 1) as addresses, Callers(addresses) as callers:
        promote(store, "flights", 2, constant_bundle(store, 0.75))
        assert await_acknowledged(store, "flights", 2) == (1, [])
        for key in list(store.list(f"bundles/{first}/")):
            store.delete(key)
        _, state = open_journal(store, "flights", "test").append(decide_rolled_back())
        assert await_acknowledged(store, "flights", state.generation) == (1, [])
        answer = callers.ask()

    assert answer.headers["x-evertrain-version"] == "1"
    assert answer.json()["probabilities"] == [[0.75, 0.25]]


@pytest.mark.e2e
def test_an_aborted_canary_ends_within_a_second(store, constant_bundle, promote, serve):
    """A person ends it: no request that begins a second later is answered by it."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    with replicas(store, serve, 1) as addresses, Callers(addresses) as callers:
        journal = begin(store, constant_bundle(store, 0.75), steps=[50, 100], bake_seconds=600)
        with controlled(store):
            callers.ask_until(lambda: "canary" in callers.arms())
            rollout = journal.read()[1].rollout
            journal.append(decide_rollout_ended(rollout, "aborted", {}, reason="changed my mind"))
            ended = time.time()
            callers.ask_until(lambda: time.time() > ended + 2)

    assert callers.arms(since=ended + 1.0) == {"stable"}


@pytest.mark.e2e
def test_a_shadow_answers_nobody_and_takes_over(store, constant_bundle, promote, serve):
    """It sees what the champion answers, in a process of its own; after its time it is champion."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    with replicas(store, serve, 1) as addresses, Callers(addresses) as callers:
        journal = begin(store, constant_bundle(store, 0.75), steps=[0], bake_seconds=1.0, kind="shadow")
        with controlled(store):
            callers.ask_until(lambda: journal.read()[1].champion == 2)
        assert await_acknowledged(store, "flights", 2) == (1, [])
        last = callers.ask()

    assert callers.arms() == {"stable"}
    assert last.headers["x-evertrain-version"] == "2"
    promotion = next(entry for entry in reversed(journal.read()[0]) if entry.kind == "promoted")
    shadow = promotion.data["evidence"]["shadow"]
    assert shadow["compared"] >= 100
    # One says late at 0.25, the other at 0.75: they never agree.
    assert shadow["disagreeing"] == shadow["compared"]
    assert shadow["score_shift_sum"] == pytest.approx(0.5 * shadow["compared"])


@pytest.mark.e2e
def test_a_shadow_that_fails_is_rolled_back(store, constant_bundle, promote, serve):
    """Its failures reach nobody but the journal."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    with replicas(store, serve, 1) as addresses, Callers(addresses, row=FAR) as callers:
        bad = constant_bundle(store, 0.75, fails_over=5_000)
        journal = begin(store, bad, steps=[0], bake_seconds=60, kind="shadow")
        with controlled(store):
            callers.ask_until(lambda: journal.read()[1].rollout is None)

    assert callers.arms() == {"stable"}
    version = journal.read()[1].versions[2]
    assert version.status == "rejected"
    assert version.reasons[0].startswith("errors: 0 rows compared")
