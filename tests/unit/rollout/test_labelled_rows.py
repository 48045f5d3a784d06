"""What late labels say of a rollout, read from a real log: both arms, or a shadow beside the champion."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from evertrain.bundle_files import Golden, write_bundle
from evertrain.canonical import canonical_json
from evertrain.evaluation.scores import ClassAnswers, ValueAnswers
from evertrain.records import Feature, Signature
from evertrain.release.state import Rollout, VersionState
from evertrain.rollout.labelled_rows import LabelReader, count_pairs
from evertrain.storage import LocalStore
from tests.unit.realised.conftest import START, Log

AB = {"type": "ab", "steps": [50], "bake_seconds": 1.0, "metric": "accuracy"}
SHADOW = {"type": "shadow", "steps": [0], "bake_seconds": 1.0, "metric": None}
BEGUN = (START - timedelta(hours=1)).isoformat()
SIGNATURE = Signature(
    task="binary_classification",
    target="late",
    features=(Feature(name="distance", kind="numeric", type="float"),),
    classes=("No", "Yes"),
    has_probabilities=True,
)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(LocalStore(tmp_path / "store"))


def rollout(strategy):
    guardrails = {"max_error_rate": 0.01, "max_p99_ratio": 1.5}
    return Rollout(7, 2, strategy, guardrails, 0, BEGUN)


def reader(log, bundle=""):
    version = VersionState(2, *["x"] * 2, bundle, *["x"] * 3)
    return LabelReader(log.store, "flights", None, {2: version}.__getitem__)


def write_far(store):
    """A model that says Yes to a distance over 100, and No to others."""
    from onnx import TensorProto, helper

    limit = helper.make_tensor("limit", TensorProto.FLOAT, [1], [100.0])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("Constant", [], ["limit"], value=limit),
        helper.make_node("Constant", [], ["one"], value=one),
        helper.make_node("Greater", ["in_000", "limit"], ["far"]),
        helper.make_node("Cast", ["far"], ["yes"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
        helper.make_node("Cast", ["far"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["wide"], ["label"]),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
    ]
    inputs = [helper.make_tensor_value_info("in_000", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph(nodes, "far", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    golden = Golden(
        columns={"distance": [1.0, 900.0]},
        tolerance=1e-6,
        codes=[0, 1],
        probabilities=[[1.0, 0.0], [0.0, 1.0]],
    )
    files = {
        "model.onnx": bytes(model.SerializeToString()),
        "signature.json": canonical_json(SIGNATURE.model_dump(mode="json")),
        "golden.json": canonical_json(golden.model_dump(mode="json")),
        "statistics.json": b"{}",
        "provenance.json": b"{}",
    }
    return write_bundle(store, "onnx", files, "test")


def test_both_arms_are_read_by_caller_and_judged_once_they_are_enough(log):
    """The challenger is right on all its rows and stable on none; rows that aren't due are counted alone."""
    labels = {}
    for number in range(120):
        arm, version, right, wrong = ("a", 1, "No", "Yes") if number % 2 else ("b", 2, "Yes", "No")
        log.answer(f"r{number}", [0.9, 0.1], arm=arm, version=version, entity=f"caller {number}")
        labels |= {f"r{number}/0": right, f"r{number}/1": wrong}
    last = labels.popitem()
    log.tell(labels)

    read = reader(log)
    found = read(rollout(AB))
    assert (found.rollout, found.look, found.rows) == (7, 1, 119)
    assert found.judged is not None
    assert (found.judged.verdict, found.judged.rows) == ("better", (119, 120))
    assert (found.judged.stable, found.judged.challenger) == (0.0, 1.0)

    log.tell(dict([last]), hour=2)
    not_due = read(replace(rollout(AB), looks=1, judged_rows=119, verdict="open"))
    assert (not_due.look, not_due.rows, not_due.judged) == (2, 120, None)


def test_what_was_answered_before_the_rollout_is_none_of_its_evidence(log):
    """Nor is what another arm answered."""
    log.answer("early", [0.9], arm="b", hour=-2)
    log.answer("other", [0.9], arm="stable")
    log.tell({"early/0": "Yes", "other/0": "Yes"})

    assert reader(log)(rollout(AB)).rows == 0


def test_a_shadow_is_asked_what_the_champion_was(log):
    """Where the label is known: on how many rows only one of them was right."""
    bundle = write_far(log.store)
    distances = [50.0, 150.0, 250.0, 80.0]
    log.answer("r", [0.9, 0.9, 0.1, 0.1], columns=[distances, ["UA"] * 4])
    log.answer("unlabelled", [0.9], columns=[[1.0], ["UA"]])
    log.tell({"r/0": "No", "r/1": "Yes", "r/2": "Yes", "r/3": "Yes"})

    found = reader(log, bundle)(rollout(SHADOW))

    # Stable says Yes, Yes, No, No; the shadow No, Yes, Yes, No.
    assert found.pairs == (4, 2, 0)


def test_a_shadow_that_needs_what_was_not_logged_has_no_pairs(log):
    """A feature that the champion doesn't have can't be asked for afterwards."""
    bundle = write_far(log.store)
    log.answer("r", [0.9], features=[["carrier", "categorical", "string"]], columns=[["UA"]])
    log.tell({"r/0": "No"})

    assert reader(log, bundle)(rollout(SHADOW)).pairs == (0, 0, 0)


def test_pairs_of_classes_and_of_numbers():
    """Right beside wrong, or nearer beside further off; who are alike count for neither."""
    truth = np.array([0, 1, 1, 0])
    classes = [ClassAnswers(truth, np.array(codes), None) for codes in ([0, 0, 1, 1], [0, 1, 0, 1])]
    assert count_pairs(*classes) == (4, 1, 1)
    values = [ValueAnswers(np.zeros(3), np.array(found)) for found in ([1.0, 1.0, -2.0], [-0.5, 2.0, 2.0])]
    assert count_pairs(*values) == (3, 1, 1)
