"""More is asked than can be answered: whoever is over the limit is told at once, the others are answered."""

from __future__ import annotations

import asyncio
import threading

import httpx
import numpy as np
import pytest

from evertrain.predictions import Prediction
from serving.admission import WAITING, Admission
from serving.app import create_app
from serving.fleet import Fleet, Served
from serving.problems import Refusal

OVER = 6
ROW = {"distance": 1, "carrier": "UA", "night flight": None, "departs": None}


@pytest.fixture
def blocked(bundle_of):
    """A service whose model answers once it is let; gives the application and the event that lets it."""
    let = threading.Event()

    def wait_and_answer(inputs):
        let.wait(20)
        rows = len(inputs["in_000"])
        return Prediction(codes=np.zeros(rows, dtype=np.int64), probabilities=np.full((rows, 2), 0.5))

    fleet = Fleet()
    fleet.put(Served("flights", 1, 1, bundle_of(wait_and_answer, runtime="native")))
    return create_app(fleet), let


def test_those_over_the_limit_are_told_at_once(blocked):
    """As many as may wait do, the next six get 503 with Retry-After meanwhile; who waited is answered."""
    app, let = blocked

    async def ask_all():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

            async def ask():
                return await client.post("/invocations", json={"instances": [ROW]})

            waiting = [asyncio.create_task(ask()) for _ in range(WAITING)]
            while sum(not task.done() for task in waiting) < WAITING or len(asyncio.all_tasks()) <= WAITING:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            refused = [await ask() for _ in range(OVER)]
            assert not any(task.done() for task in waiting)
            health = await client.get("/health/live")
            let.set()
            return [await task for task in waiting], refused, health, await ask()

    answered, refused, health, after = asyncio.run(ask_all())

    assert {answer.status_code for answer in answered} == {200}
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert refused[0].json()["type"] == "urn:evertrain:problem:overloaded"
    assert health.status_code == 200
    assert after.status_code == 200


def test_work_is_done_in_the_order_it_came():
    """One thread, ten pieces of work: first come, first served."""
    done = []

    async def work_all():
        admission = Admission(threads=1)
        await asyncio.gather(*(admission.run(done.append, number) for number in range(10)))
        return admission.waiting

    assert asyncio.run(work_all()) == 0
    assert done == list(range(10))


def test_work_that_fails_makes_room_again():
    """What raises is no longer waited for, and its error reaches whoever asked."""

    async def fail():
        admission = Admission(waiting=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await admission.run(lambda: 1 / 0)
        return admission.waiting

    assert asyncio.run(fail()) == 0


def test_a_limit_of_none_refuses_all():
    """Where nobody may wait, everybody is refused: the limit is counted before the work begins."""

    async def ask():
        with pytest.raises(Refusal, match="0 requests wait"):
            await Admission(waiting=0).run(lambda: None)

    asyncio.run(ask())
