"""The shadow of a challenger that hangs, raises, allocates, ends or is killed: all of it is counted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from evertrain.bundle_files import write_bundle
from evertrain.predictions import Prediction
from serving.prediction_log.lines import spell_line
from serving.shadow.frames import Reply, offer_facts, read_frame, send_frame
from serving.shadow.runner import Shadow

pytestmark = [pytest.mark.fault, pytest.mark.e2e]
BOUND_SECONDS = 20
ANSWER_SECONDS = 1.0
GOOD, HOSTILE = 100.0, 666.0


def constant(name, values, kind=TensorProto.INT64):
    return helper.make_node(
        "Constant", [], [name], value=helper.make_tensor("v", kind, [len(values)], values)
    )


def raises():
    """Nodes that give 0 as long as ``trigger`` is 0, and ask for an element that there is none of at 1."""
    return [
        constant("elements", [0]),
        constant("far", [5]),
        helper.make_node("Mul", ["trigger", "far"], ["place"]),
        helper.make_node("Gather", ["elements", "place"], ["harm"]),
    ]


def hangs():
    """Nodes that give 0, at 1 after some thousand years."""
    steps = [
        helper.make_node("Identity", ["goes"], ["goes_on"]),
        helper.make_node("Identity", ["before"], ["after"]),
    ]
    body = helper.make_graph(
        steps,
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.INT64, [1]),
        ],
    )
    return [
        constant("ages", [2**60]),
        constant("nothing", [0]),
        helper.make_node("Mul", ["trigger", "ages"], ["steps"]),
        helper.make_node("Loop", ["steps", "", "nothing"], ["harm"], body=body),
    ]


def allocates():
    """Nodes that give 0, at 1 out of a gigabyte of zeros."""
    zero = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0])
    return [
        constant("quarter", [1 << 28]),
        helper.make_node("Mul", ["trigger", "quarter"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["zeros"], value=zero),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["harm"], to=TensorProto.INT64),
    ]


def hostile_model(data, harm):
    """The constant model *data* that first does *harm* where a distance is ``HOSTILE``."""
    model = onnx.load_from_string(data)
    kept = list(model.graph.node)[1:]
    del model.graph.node[:]
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["in_000"], ["rows"]),
            helper.make_node("ReduceMax", ["in_000"], ["largest"], keepdims=0),
            constant("hostile", [HOSTILE], TensorProto.FLOAT),
            helper.make_node("Equal", ["largest", "hostile"], ["met"]),
            helper.make_node("Cast", ["met"], ["trigger"], to=TensorProto.INT64),
            *harm(),
            helper.make_node("Add", ["rows", "harm"], ["shape"]),
            *kept,
        ]
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def hostile_bundle(store, constant_files):
    def make(harm):
        files = constant_files(0.25)
        return write_bundle(
            store, "onnx", {**files, "model.onnx": hostile_model(files["model.onnx"], harm)}, "t"
        )

    return make


@pytest.fixture
def offer(bundle_of):
    bundle = bundle_of()

    def make(shadow, distance):
        columns = {
            "distance": [distance],
            "carrier": ["UA"],
            "night flight": [False],
            "departs": ["2013-01-31T05:00:00Z"],
        }
        shadow.offer(columns, bundle.predict(columns), 0.001, bundle.signature)

    return make


def await_true(condition):
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def await_worked(process, more_seconds):
    began = sum(process.cpu_times()[:2])
    await_true(lambda: sum(process.cpu_times()[:2]) > began + more_seconds)


def await_settled(shadow):
    await_true(lambda: not shadow.counts().under_way)
    counts = shadow.counts()
    assert counts.offered == counts.compared + counts.failed + counts.dropped
    return counts


@pytest.mark.parametrize(
    ("harm", "restarts", "words"),
    [
        (raises, 0, "fails on rows that stable answers"),
        (allocates, 0, "BFCArena::Allocate"),
        (hangs, 1, "said nothing for 1 s"),
    ],
    ids=["raises", "allocates", "hangs"],
)
def test_a_hostile_challenger_fails_and_the_next_pair_is_compared(
    store, hostile_bundle, offer, caplog, harm, restarts, words
):
    """One that raises, takes a gigabyte or hangs on a row: that row failed, the next one is compared."""
    digest = hostile_bundle(harm)
    with Shadow(store.where, digest, answer_seconds=ANSWER_SECONDS) as shadow:
        offer(shadow, GOOD)
        await_settled(shadow)
        offer(shadow, HOSTILE)
        assert await_settled(shadow).failed == 1
        offer(shadow, GOOD)
        counts = await_settled(shadow)

    assert (counts.offered, counts.compared, counts.dropped, counts.restarts) == (3, 2, 0, restarts)
    assert counts.disagreeing == 0
    assert caplog.text.count(words) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_challenger_that_ends_is_started_again(store, constant_bundle, offer, caplog, number):
    """Killed with nothing to do: it comes back, and what was offered meanwhile is compared."""
    with Shadow(store.where, constant_bundle(store, 0.25)) as shadow:
        offer(shadow, GOOD)
        await_settled(shadow)
        os.kill(shadow.pid, number)
        await_true(lambda: shadow.pid is None)
        offer(shadow, GOOD)
        counts = await_settled(shadow)

    assert (counts.compared, counts.failed, counts.dropped, counts.restarts) == (2, 0, 0, 1)
    assert f"it ended by signal {number.value}. It is started again" in caplog.text


def test_a_challenger_killed_at_work_fails_what_it_had(store, hostile_bundle, offer):
    """Kill -9 amid a long piece of work: what it had is failed, what waited is compared by the next one."""
    with Shadow(store.where, hostile_bundle(hangs), answer_seconds=60.0) as shadow:
        offer(shadow, GOOD)
        await_settled(shadow)
        offer(shadow, HOSTILE)
        # So much work is the row's: it has it, and a thousand years to go.
        await_worked(psutil.Process(shadow.pid), 0.3)
        offer(shadow, GOOD)
        os.kill(shadow.pid, signal.SIGKILL)
        counts = await_settled(shadow)

    assert (counts.offered, counts.compared, counts.failed, counts.restarts) == (3, 2, 1, 1)


def test_one_that_cannot_be_loaded_is_given_up_and_told_once(store, constant_bundle, offer, caplog):
    """A broken bundle is tried again, then no more: all is dropped, and the log says once that it's over."""
    digest = constant_bundle(store, 0.25, golden_late=0.75)
    with Shadow(store.where, digest, most_restarts=1) as shadow:
        offer(shadow, GOOD)
        counts = await_settled(shadow)
        offer(shadow, GOOD)
        await_true(lambda: shadow.counts().has_given_up)
        after = shadow.counts()

    assert (counts.dropped, counts.restarts) == (1, 1)
    assert (after.offered, after.dropped, after.has_given_up) == (2, 2, True)
    assert caplog.text.count("answers its golden rows otherwise") == 2
    assert caplog.text.count("is over") == 1
    assert shadow.counts().has_given_up


def test_a_bundle_that_is_not_there_is_given_up(store, offer, caplog):
    """A digest that the store doesn't hold is the shadow's failure, not the service's."""
    with Shadow(store.where, "e" * 64, most_restarts=0) as shadow:
        offer(shadow, GOOD)
        counts = await_settled(shadow)

    assert (counts.dropped, counts.restarts) == (1, 0)
    assert "is over" in caplog.text


PROGRAM = """
import re, socket, sys
import numpy as np
from evertrain.predictions import Prediction
from serving.shadow.challenger import compare_offers

class Model:
    class signature:
        classes = ("No", "Yes")

    def predict(self, columns):
        return HARMS[sys.argv[2]]()

def keep_the_interpreter():
    re.match("(a+)+$", "a" * 60 + "b")

def take_memory():
    return Prediction(codes=np.array([int(bytearray(1 << 30)[-1])]))

HARMS = {"keep": keep_the_interpreter, "take": take_memory}
with socket.socket(fileno=int(sys.argv[1])) as channel:
    compare_offers(channel, Model, 0.5, 512 << 20)
"""


@contextmanager
def challenger_that(harm):
    """A challenger's process around a Python function, without a service; gives it and its channel."""
    ours, theirs = socket.socketpair()
    ours.settimeout(BOUND_SECONDS)
    with ours:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(theirs.fileno()), harm],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        theirs.close()
        with process:
            try:
                assert Reply.model_validate_json(read_frame(ours)) == Reply()
                yield process, ours
            finally:
                process.kill()


def one_offer():
    return spell_line(offer_facts({"x": [1]}, Prediction(codes=np.array([0])), ("No", "Yes"), 0.001))


def test_a_model_that_keeps_the_interpreter_ends_by_itself():
    """Where no thread of it runs any more, and no service is left to end it, the kernel does."""
    with challenger_that("keep") as (process, channel):
        send_frame(channel, one_offer())
        code = process.wait(BOUND_SECONDS)

    assert code == -signal.SIGALRM


def test_one_that_has_all_its_memory_ends_and_says_so():
    """A gigabyte more than it may have is refused to the process, not taken from the machine."""
    with challenger_that("take") as (process, channel):
        send_frame(channel, one_offer())
        reply = Reply.model_validate_json(read_frame(channel))
        code = process.wait(BOUND_SECONDS)

    assert "512 MiB" in reply.ended
    assert code == 0


SERVICE = """
import sys, time
from evertrain.predictions import Prediction
from evertrain.records import Signature
from serving.shadow.runner import Shadow
import numpy as np

signature = Signature(task="binary_classification", target="late", features=(), classes=("No", "Yes"))
columns = {"distance": [666.0], "carrier": ["UA"], "night flight": [False], "departs": [None]}
with Shadow(sys.argv[1], sys.argv[2], answer_seconds=60.0) as shadow:
    shadow.offer(columns, Prediction(codes=np.array([0])), 0.001, signature)
    while shadow.pid is None:
        time.sleep(0.01)
    print(shadow.pid, flush=True)
    time.sleep(60)
"""


def test_a_challenger_ends_with_its_service(store, hostile_bundle):
    """Kill -9 of the service ends a challenger that is at work for ever, too."""
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, store.where, hostile_bundle(hangs)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    with service:
        challenger = psutil.Process(int(service.stdout.readline()))
        await_worked(challenger, 1.5)
        service.kill()
    challenger.wait(BOUND_SECONDS)

    assert not challenger.is_running()
