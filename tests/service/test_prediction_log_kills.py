"""The prediction log of a real service: what a kill costs, and that its shipper is brought back."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from serving.prediction_log.places import ANSWERS, log_folder
from serving.prediction_log.recorder import PredictionLog
from serving.prediction_log.segments import list_segments
from serving.recorder import LateLabel

BOUND_SECONDS = 20


def kept_rows(store):
    """All rows in the store's parts."""
    rows = []
    for key in store.list("predictions/"):
        rows += pq.read_table(io.BytesIO(store.get(key))).to_pylist()
    return rows


PROGRAM = """
import sys
from evertrain.settings import read_settings
from serving.server import run
run(["flights"], read_settings(), host="127.0.0.1", port=0, workers=int(sys.argv[1]))
"""


class Service:
    """A real service whose home is *home*."""

    def __init__(self, store, home, workers):
        environment = {**os.environ, "EVERTRAIN_STORE": store.where, "EVERTRAIN_HOME": str(home)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(workers)],
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONPATH": str(Path.cwd())},
        )
        line = ""
        while " on http" not in line:
            assert select.select([self.process.stderr], [], [], 30)[0], "no line"
            line = self.process.stderr.readline()
            assert line, "it ended"
        self.address = re.search(r"http://[^ ]+", line).group()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(BOUND_SECONDS)
        self.process.stderr.close()


@pytest.mark.e2e
@pytest.mark.fault
@pytest.mark.parametrize("workers", [1, 2])
def test_a_kill_costs_the_last_second_and_doubles_nothing(
    store, tmp_path, constant_bundle, promote, row, workers
):
    """Kill -9 under load, then a new start: what was answered a second before is in the store, once."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    service = Service(store, tmp_path / "home", workers)
    times = {}
    stop = threading.Event()

    def ask():
        with (
            httpx.Client(base_url=service.address, timeout=BOUND_SECONDS) as client,
            suppress(httpx.TransportError),
        ):
            while not stop.is_set():
                answer = client.post("/invocations", json={"inputs": [row]})
                times[answer.headers["x-evertrain-request-id"]] = time.monotonic()

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    time.sleep(2)
    killed = time.monotonic()
    service.end(signal.SIGKILL)
    stop.set()
    for thread in asking:
        thread.join(BOUND_SECONDS)
    again = Service(store, tmp_path / "home", 1)
    log = tmp_path / "home" / "serving" / "log"
    deadline = time.monotonic() + BOUND_SECONDS
    while list_segments(log / ANSWERS) and time.monotonic() < deadline:
        time.sleep(0.05)
    again.end()

    kept = [row["request_id"] for row in kept_rows(store)]
    assert len(kept) == len(set(kept))
    assert set(kept) <= times.keys()
    older = {name for name, moment in times.items() if moment < killed - 1.0}
    assert len(older) > 20
    assert older <= set(kept)


@pytest.mark.e2e
def test_a_shipper_that_dies_is_brought_back(store, tmp_path, constant_bundle, promote, row):
    """Killed, it is there again within some seconds, and ends with its service."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    Path(store.where, "labels").write_text("not a folder")
    with PredictionLog(log_folder(tmp_path / "home")) as log:
        log.record_labels("flights", [LateLabel("r/0", "Yes")])
    service = Service(store, tmp_path / "home", 1)

    def shippers():
        found = []
        for each in psutil.Process(service.process.pid).children():
            with suppress(psutil.Error):
                found += [each.pid] * any("shipper" in word for word in each.cmdline())
        return found

    (first,) = shippers()
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + BOUND_SECONDS
    while first in shippers() or not shippers():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (second,) = shippers()
    service.end()

    assert not psutil.pid_exists(second)


@pytest.mark.e2e
@pytest.mark.fault
def test_a_store_that_takes_no_log_costs_no_answer(store, tmp_path, constant_bundle, promote, row):
    """All is answered and waits on this machine; once the store takes it again, it is there, once."""
    promote(store, "flights", 1, constant_bundle(store, 0.25))
    in_the_way = Path(store.where) / "predictions"
    in_the_way.write_text("not a folder")
    service = Service(store, tmp_path / "home", 1)
    with httpx.Client(base_url=service.address, timeout=BOUND_SECONDS) as client:
        answers = [client.post("/invocations", json={"inputs": [row]}) for _ in range(20)]
    service.end()
    assert {answer.status_code for answer in answers} == {200}
    log = tmp_path / "home" / "serving" / "log"
    assert len(list_segments(log / ANSWERS)) == 1

    in_the_way.unlink()
    again = Service(store, tmp_path / "home", 1)
    deadline = time.monotonic() + BOUND_SECONDS
    while list_segments(log / ANSWERS) and time.monotonic() < deadline:
        time.sleep(0.05)
    again.end()
    kept = [kept["request_id"] for kept in kept_rows(store)]
    assert kept == [answer.headers["x-evertrain-request-id"] for answer in answers]
