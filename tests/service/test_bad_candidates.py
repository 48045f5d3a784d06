"""Bad candidates become champions while the service is asked: none of them answers a single request (R9)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from evertrain.bundle_files import write_bundle
from evertrain.release import decide_promoted, decide_registered, decide_rolled_back, open_journal
from serving import follower
from serving.fleet import Fleet
from serving.watcher import Rhythm, Watcher

BOUND_SECONDS = 20
GOOD = 0.25


@dataclass
class Made:
    """A bundle's files, to be spoilt before they are written, and what is done to the store afterwards."""

    files: dict[str, bytes]
    afterwards: Callable[[Any, str], None] = lambda _store, _digest: None


def corrupt(made):
    made.files["model.onnx"] = made.files["model.onnx"][:-40]


def no_model_at_all(made):
    made.files["model.onnx"] = b"not a model"


def a_pickle(made):
    made.files["model.onnx"] = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94."


def changed_in_the_store(made):
    def change(store, digest):
        path = f"{store.where}/bundles/{digest}/model.onnx"
        with Path(path).open("r+b") as file:
            file.seek(30)
            file.write(b"\xff")

    made.afterwards = change


def lacking_a_file(made):
    made.afterwards = lambda store, digest: store.delete(f"bundles/{digest}/golden.json")


def other_features(made):
    made.files["signature.json"] = made.files["signature.json"].replace(b'"distance"', b'"length"')


def more_features(made):
    fields = made.files["signature.json"]
    made.files["signature.json"] = fields.replace(
        b'"features":[', b'"features":[{"kind":"numeric","name":"more","type":"float"},'
    )


def unknown_fields(made):
    made.files["signature.json"] = made.files["signature.json"].replace(
        b'"task"', b'"run":"os.system","task"'
    )


def no_json(made):
    made.files["signature.json"] = b"{"


def other_golden_answers(made):
    made.files["golden.json"] = made.files["golden.json"].replace(b"0.25", b"0.35").replace(b"0.75", b"0.65")


def not_a_number(made, constant_onnx=None):
    made.files["model.onnx"] = constant_onnx(float("nan"))


def slow(made, slow_onnx=None):
    made.files["model.onnx"] = slow_onnx()


KINDS = [
    corrupt,
    no_model_at_all,
    a_pickle,
    changed_in_the_store,
    lacking_a_file,
    other_features,
    more_features,
    unknown_fields,
    no_json,
    other_golden_answers,
    not_a_number,
    slow,
]


class Asking:
    """Asks a service without pause from a thread, and keeps what it said."""

    def __init__(self, address, row):
        self._address = address
        self._row = row
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers = []

    def _ask(self):
        with httpx.Client(base_url=self._address) as client:
            while not self._stop.is_set():
                answer = client.post("/models/flights/invocations", json={"inputs": [self._row]})
                version = answer.headers["x-evertrain-version"]
                self.answers.append((answer.status_code, version, answer.json().get("probabilities")))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(BOUND_SECONDS)


def wait_until(holds):
    deadline = time.monotonic() + BOUND_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.e2e
@pytest.mark.parametrize("way", ["promoted", "rolled back to"])
def test_no_bad_candidate_answers(way, store, bundle_parts, serve, row, caplog, monkeypatch):
    """Twelve kinds of bad bundles, promoted or rolled back to under load: the good one answers all."""
    monkeypatch.setattr(follower, "SLOWEST_ROW_SECONDS", 0.2)
    journal = open_journal(store, "flights", "test")
    facts = {"snapshot": "s" * 64, "config": "c" * 64, "code": "e" * 64}

    def register(version, bundle):
        journal.append(
            decide_registered(version=version, run_key=f"run-{version}", run_id="r", bundle=bundle, **facts)
        )

    register(1, write_bundle(store, "onnx", bundle_parts.files(GOOD), "test"))
    journal.append(decide_promoted(version=1))
    fleet = Fleet()
    watcher = Watcher(store, fleet, ["flights"], rhythm=Rhythm(poll_seconds=0.01))
    watcher.look()

    with serve(fleet) as address, watcher, Asking(address, row) as asking:
        for version, kind in enumerate(KINDS, start=2):
            made = Made(bundle_parts.files(GOOD))
            bundle_parts.spoil(kind, made)
            digest = write_bundle(store, "onnx", made.files, f"test {version}")
            made.afterwards(store, digest)
            register(version, digest)
            if way == "rolled back to":
                # A champion of the past, whose bundle went bad since.
                journal.append(decide_promoted(version=version))
                journal.append(decide_rolled_back(to=1, reason="for the test"))
                wait_until(lambda: fleet.find("flights").version == 1)
                journal.append(decide_rolled_back(to=version, reason="for the test"))
            else:
                journal.append(decide_promoted(version=version))
            wait_until(lambda known=digest[:12]: known in caplog.text)
            seen = len(asking.answers)
            wait_until(lambda enough=seen + 5: len(asking.answers) > enough)
        register(99, write_bundle(store, "onnx", bundle_parts.files(0.75), "test"))
        journal.append(decide_promoted(version=99))
        wait_until(lambda: fleet.find("flights").version == 99)

    answers = {repr(answer) for answer in asking.answers}
    assert answers <= {repr((200, "1", [[0.75, 0.25]])), repr((200, "99", [[0.25, 0.75]]))}
    assert len(asking.answers) > 5 * len(KINDS)


class Parts:
    """Makes the files of good and bad bundles."""

    def __init__(self, files, constant_onnx, slow_onnx):
        self.files = files
        self._more = {not_a_number: {"constant_onnx": constant_onnx}, slow: {"slow_onnx": slow_onnx}}

    def spoil(self, kind, made):
        kind(made, **self._more.get(kind, {}))


@pytest.fixture
def bundle_parts(constant_files, constant_model, slow_model):
    return Parts(constant_files, constant_model, slow_model)
