"""Owns the hostile challengers of the proof R6: models that answer, and do harm to a row they are asked."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto, helper
from services import store_model

from evertrain.storage import Store

CHALLENGER, HOSTILE = 7.0, 666.0
"""What a challenger answers, and the x that it does its harm on."""

Node = object


def _constant(name: str, value: float, kind: int = TensorProto.INT64) -> Node:
    tensor = helper.make_tensor("v", kind, [1], [value])
    return helper.make_node("Constant", [], [name], value=tensor)


def _raise() -> list[Node]:
    return [
        _constant("elements", 0),
        _constant("far", 5),
        helper.make_node("Mul", ["trigger", "far"], ["place"]),
        helper.make_node("Gather", ["elements", "place"], ["harm"]),
    ]


def _hang() -> list[Node]:
    def told(name: str, kind: int, shape: list[int]) -> Node:
        return helper.make_tensor_value_info(name, kind, shape)

    steps = [
        helper.make_node("Identity", ["goes"], ["goes_on"]),
        helper.make_node("Identity", ["before"], ["after"]),
    ]
    body = helper.make_graph(
        steps,
        "body",
        [
            told("step", TensorProto.INT64, []),
            told("goes", TensorProto.BOOL, []),
            told("before", TensorProto.INT64, [1]),
        ],
        [told("goes_on", TensorProto.BOOL, []), told("after", TensorProto.INT64, [1])],
    )
    return [
        _constant("ages", 2**60),
        _constant("nothing", 0),
        helper.make_node("Mul", ["trigger", "ages"], ["steps"]),
        helper.make_node("Loop", ["steps", "", "nothing"], ["harm"], body=body),
    ]


def _zeros(factor: str, elements: int) -> list[Node]:
    zero = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0])
    return [
        _constant("elements", elements),
        helper.make_node("Mul", [factor, "elements"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["zeros"], value=zero),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["harm"], to=TensorProto.INT64),
    ]


HARMS: dict[str, Callable[[], list[Node]]] = {
    "raises": _raise,
    "hangs": _hang,
    "allocates": lambda: _zeros("trigger", 1 << 28),
    "killed": lambda: _zeros("trigger", 1),
    # Some ten milliseconds a request, where they come every two and a half; of a constant it would be once.
    "slow": lambda: [
        _constant("one", 1),
        helper.make_node("Add", ["trigger", "one"], ["always"]),
        *_zeros("always", 8 << 20),
    ],
}


def store_hostile(store: Store, harm: Callable[[], list[Node]]) -> str:
    """Write a bundle that answers ``CHALLENGER`` and does *harm* where x is ``HOSTILE``; gives its digest."""
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [CHALLENGER])
    nodes = [
        helper.make_node("Shape", ["in_000"], ["rows"]),
        helper.make_node("ReduceMax", ["in_000"], ["largest"], keepdims=0),
        _constant("hostile", HOSTILE, TensorProto.FLOAT),
        helper.make_node("Equal", ["largest", "hostile"], ["met"]),
        helper.make_node("Cast", ["met"], ["trigger"], to=TensorProto.INT64),
        *harm(),
        helper.make_node("Add", ["rows", "harm"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["variable"], value=value),
    ]
    shape = [None, 1]
    made = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("in_000", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, shape)],
    )
    return store_model(store, made, CHALLENGER)
