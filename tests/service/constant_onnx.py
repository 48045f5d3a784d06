"""Models in ONNX that give every row the same probability, and may be slow or fail."""

from __future__ import annotations

from typing import Any


def constant_onnx(late: float, *, slowed_by: int = 0, fails_over: float | None = None) -> bytes:
    """A model in ONNX that gives every row the probability *late*.

    It is slow, where *slowed_by* is large, and gives NaN for a distance over *fails_over*.
    """
    from onnx import TensorProto, checker, helper

    kinds = {"in_001": TensorProto.STRING}
    names = [
        "in_000",
        "in_001",
        "in_002",
        *(f"in_003_{part}" for part in ("year", "month", "dayofweek", "hour")),
    ]
    inputs = [
        helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), [None, 1]) for name in names
    ]

    def fill(value: float, kind: int, output: str) -> Any:
        tensor = helper.make_tensor("value", kind, [1], [value])
        return helper.make_node("ConstantOfShape", ["shape"], [output], value=tensor)

    nodes = [
        helper.make_node("Shape", ["in_000"], ["shape"]),
        fill(int(late > 0.5), TensorProto.INT64, "label"),
        fill(1 - late, TensorProto.FLOAT, "no"),
        fill(late, TensorProto.FLOAT, "yes"),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
    ]
    if slowed_by:
        nodes = _made_slow(nodes, slowed_by)
    if fails_over is not None:
        nodes = _made_failing(nodes, fails_over)
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None, 1]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
    ]
    graph = helper.make_graph(nodes, "constant", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _made_slow(nodes: list[Any], size: int) -> list[Any]:
    """Put a product of two matrices of zeros before *nodes*; no optimizer sees that it adds nothing."""
    from onnx import TensorProto, helper

    def constant(name: str, values: list[int]) -> Any:
        tensor = helper.make_tensor("value", TensorProto.INT64, [len(values)], values)
        return helper.make_node("Constant", [], [name], value=tensor)

    zero = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
    slow = [
        helper.make_node("Shape", ["in_000"], ["rows"]),
        constant("nothing", [0, 0]),
        constant("size", [size, size]),
        helper.make_node("Mul", ["rows", "nothing"], ["none"]),
        helper.make_node("Add", ["none", "size"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["matrix"], value=zero),
        helper.make_node("MatMul", ["matrix", "matrix"], ["product"]),
        helper.make_node("ReduceSum", ["product"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["added"], to=TensorProto.INT64),
        helper.make_node("Add", ["rows", "added"], ["shape"]),
    ]
    return [*slow, *nodes[1:]]


def _made_failing(nodes: list[Any], over: float) -> list[Any]:
    """Add 0 / 1 to the probability of rows up to *over* miles, and 0 / 0 to that of others."""
    from onnx import TensorProto, helper

    def constant(name: str, value: float) -> Any:
        tensor = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
        return helper.make_node("Constant", [], [name], value=tensor)

    first, joined = nodes[:-1], nodes[-1]
    failing = [
        constant("limit", over),
        constant("zero", 0.0),
        constant("one", 1.0),
        helper.make_node("Greater", ["in_000", "limit"], ["is_over"]),
        helper.make_node("Cast", ["is_over"], ["over"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "over"], ["within"]),
        helper.make_node("Div", ["zero", "within"], ["nothing_or_nan"]),
        helper.make_node("Add", ["yes", "nothing_or_nan"], ["yes_or_nan"]),
    ]
    joined.input[1] = "yes_or_nan"
    return [*first, *failing, joined]
