"""Owns the steps of a bulk request, called one by one in this process; ``benchmarks/bulk.py`` runs it."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from evertrain.columns import encode_inputs
from evertrain.storage import attach_store
from serving.fleet import Fleet, Served
from serving.follower import load_verified
from serving.metrics import ServiceMetrics
from serving.prediction_log.lines import spell_answer
from serving.protocols import Call, Protocol
from serving.protocols.mlflow_scoring import MLFLOW_SCORING
from serving.protocols.v2 import V2
from serving.recorder import Answered, KeepsNothing

TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
PROTOCOLS = {"mlflow": MLFLOW_SCORING, "v2": V2}


def milliseconds(step: Callable[[], object], times: int) -> float:
    """The median of *times* calls."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    return round(1000 * statistics.median(taken), 3)


def trees_alone(model: bytes, feeds: Mapping[str, Any]) -> Callable[[], object]:
    """A call of the model's trees and nothing else, on what the nodes before them make of *feeds*."""
    whole = onnx.load_from_string(model)
    tree = next(node for node in whole.graph.node if node.op_type in TREES)
    name = tree.input[0]
    whole.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, None]))
    (table,) = open_session(whole.SerializeToString()).run([name], dict(feeds))
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, table.shape[1]])]
    kinds = (onnx.TensorProto.INT64, onnx.TensorProto.FLOAT)
    outputs = [
        onnx.helper.make_tensor_value_info(each, kind, None)
        for each, kind in zip(tree.output, kinds, strict=False)
    ]
    graph = onnx.helper.make_graph([tree], "trees", inputs, outputs)
    alone = onnx.helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
    session = open_session(alone.SerializeToString())
    return lambda: session.run(None, {name: table})


def open_session(model: bytes) -> Any:
    """A session on one thread, as the service has it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def profile(
    served: Served, model: bytes, protocol: Protocol, question: Mapping[str, Any], body: bytes, times: int
) -> dict[str, float]:
    """What each step of a request takes, in milliseconds."""
    given = question["headers"]
    headers = {name.lower().encode(): value.encode() for name, value in given.items()}
    signature = served.bundle.signature
    call = Call(body, given["Content-Type"], headers, "r" * 32)
    asked = protocol.read(call, signature, 1_000)
    inputs = encode_inputs(signature.features, asked.columns)
    prediction = served.bundle.predict(asked.columns)
    answered = Answered(served, "stable", "r" * 32, None, 0.0, 0.0, asked.columns, prediction)
    fleet = Fleet()
    fleet.put(served)
    metrics = ServiceMetrics(fleet, KeepsNothing())
    trees = trees_alone(model, {name: values.reshape(-1, 1) for name, values in inputs.items()})
    steps: dict[str, Callable[[], object]] = {
        "read the body": lambda: protocol.read(call, signature, 1_000),
        "column layer": lambda: encode_inputs(signature.features, asked.columns),
        "ONNX Runtime": lambda: served.bundle.run(inputs),
        "of that, the trees": trees,
        "spell the answer": lambda: protocol.spell(asked, served, prediction, call),
        "count the rows": lambda: metrics.observe_rows(served, "stable", asked.columns, prediction),
        "spell the log's line": lambda: spell_answer(answered),
    }
    return {what: milliseconds(step, times) for what, step in steps.items()}


def main(home: str, asked: str, rounds: int) -> None:
    """Print the milliseconds of each question's steps as JSON.

    Args:
        home: Where a pipeline's one bundle is.
        asked: A folder of questions: ``<what>.json`` (protocol, headers) and ``<what>.body``.
        rounds: How often each step is called.
    """
    store = attach_store(f"{home}/store")
    (digest,) = {key.split("/")[1] for key in store.list("bundles/")}
    served = Served("flights", 1, 1, load_verified(store, digest))
    model = store.get(f"bundles/{digest}/model.onnx") or b""
    told = {}
    for path in sorted(Path(asked).glob("*.json")):
        question = json.loads(path.read_text())
        body = path.with_suffix(".body").read_bytes()
        protocol = PROTOCOLS[question["protocol"]]
        told[path.stem] = profile(served, model, protocol, question, body, rounds)
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
