"""Promotions under load: no request is dropped, and each is answered by the version that its header names."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from serving.fleet import Fleet
from serving.watcher import Rhythm, Watcher

CLIENTS = 4
REQUESTS = 500
PROMOTIONS = 12
ROW = {"distance": 7, "carrier": "UA", "night flight": None, "departs": None}


def wait_for(fleet, version):
    deadline = time.monotonic() + 20
    while fleet.find("flights").version != version:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.e2e
def test_promotions_drop_no_request(store, constant_bundle, promote, serve):
    """2,000 requests during a dozen promotions: all answered, each as the version in its header answers."""
    late = {version: version / 16 for version in range(1, PROMOTIONS + 2)}
    digests = {version: constant_bundle(store, late[version]) for version in late}
    promote(store, "flights", 1, digests[1])
    fleet = Fleet()
    watcher = Watcher(store, fleet, ["flights"], rhythm=Rhythm(poll_seconds=0.01))
    watcher.look()
    asked = threading.Semaphore(0)

    def ask(address):
        answers = []
        with httpx.Client(base_url=address) as client:
            for _ in range(REQUESTS):
                answers.append(client.post("/invocations", json={"instances": [ROW]}))
                asked.release()
        return answers

    with serve(fleet) as address, watcher, ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask, address) for _ in range(CLIENTS)]
        for version in list(digests)[1:]:
            for _ in range(CLIENTS * REQUESTS // (PROMOTIONS + 2)):
                asked.acquire()
            promote(store, "flights", version, digests[version])
            wait_for(fleet, version)
        answers = [answer for client in clients for answer in client.result()]

    assert {answer.status_code for answer in answers} == {200}
    seen = [int(answer.headers["x-evertrain-version"]) for answer in answers]
    given = [answer.json()["probabilities"][0][1] for answer in answers]
    assert given == [late[version] for version in seen]
    assert len(answers) == CLIENTS * REQUESTS
    assert len(set(seen)) >= 10


@pytest.mark.e2e
def test_a_promotion_is_served_within_seconds(store, constant_bundle, promote, serve):
    """At the usual pace of polling a promotion reaches callers within seconds."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    fleet = Fleet()
    watcher = Watcher(store, fleet)
    watcher.look()
    second = constant_bundle(store, 0.75)

    with serve(fleet) as address, watcher, httpx.Client(base_url=address) as client:
        promote(store, "flights", 2, second)
        began = time.monotonic()
        while client.get("/models/flights").json()["version"] != 2:
            time.sleep(0.02)
            assert time.monotonic() - began < 5
        took_seconds = time.monotonic() - began

    assert took_seconds < 3
