"""Owns histogram boosting's way to ONNX: splits that 32 bits hold exactly, the link of counts and amounts.

scikit-learn splits at 64-bit thresholds, ONNX at 32-bit ones. The column layer gives 32-bit numbers, of which
``x <= t`` says the same as ``x <= the largest 32-bit number not above t``: no row takes another branch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from evertrain.native import find_boosting, is_boosting

LARGEST = np.finfo(np.float32).max
LOG_LINKED = ("poisson", "gamma")
"""Losses whose trees sum up to the logarithm of the answer."""


@contextmanager
def exact_splits(pipeline: Any) -> Iterator[None]:
    """While the block runs, the thresholds of *pipeline*'s histogram boosting are 32-bit numbers."""
    kept = [(tree, tree.nodes) for tree in _trees(pipeline)]
    try:
        for tree, nodes in kept:
            tree.nodes = nodes.copy()
            tree.nodes["num_threshold"] = floor_to_float32(nodes["num_threshold"])
        yield
    finally:
        for tree, nodes in kept:
            tree.nodes = nodes


def floor_to_float32(thresholds: np.ndarray) -> np.ndarray:
    """The largest finite 32-bit number that is not above each threshold, as float64, shape (n,).

    A threshold below all of them becomes the least: no number is below it, and none is equal but that one.
    """
    bounded = np.clip(thresholds, -float(LARGEST), float(LARGEST))
    near = bounded.astype(np.float32)
    # As float64: NumPy would compare with a Python number in 32 bits, where it is never above.
    above = near.astype(np.float64) > bounded
    near[above] = np.nextafter(near[above], np.float32(-np.inf))
    floored: np.ndarray = near.astype(np.float64)
    return floored


def find_flaw(pipeline: Any) -> str | None:
    """Say why *pipeline*'s histogram boosting can't be exact in ONNX; None if it has none, or is."""
    for model in find_boosting(pipeline):
        if any(tree.nodes["is_categorical"].any() for tree in _trees_of(model)):
            return "its splits by category would be read as splits by number"
        if getattr(model, "loss", None) in LOG_LINKED and model is not pipeline[-1]:
            return "the inverse of its link would be left out"
    return None


def mend_link(pipeline: Any, graph: Any) -> None:
    """Give the exponential of what a model of counts or amounts sums up, where skl2onnx gives the sum."""
    from onnx import helper

    last = pipeline[-1]
    if not is_boosting(last) or getattr(last, "loss", None) not in LOG_LINKED:
        return
    (output,) = graph.output
    inner = f"{output.name}_of_the_link"
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name == output.name:
                node.output[place] = inner
    graph.node.append(helper.make_node("Exp", [inner], [output.name], name="inverse_of_the_link"))


def _trees(pipeline: Any) -> list[Any]:
    return [tree for model in find_boosting(pipeline) for tree in _trees_of(model)]


def _trees_of(model: Any) -> list[Any]:
    return [tree for iteration in model._predictors for tree in iteration]
