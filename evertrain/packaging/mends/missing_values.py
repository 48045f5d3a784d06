"""Owns where trees and forests send a missing number in ONNX: skl2onnx sends all of them to the right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

KINDS = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
TRACKS = "nodes_missing_value_tracks_true"


def mend_missing_values(pipeline: Any, graph: Any) -> None:
    """Write into each tree of *graph* which way its scikit-learn tree sends missing numbers.

    A tree is known by its features and thresholds; one that isn't found is left for the parity gate to judge.
    """
    trees = [tree for tree in _trees(pipeline[-1]) if _routes(tree).any()]
    if not trees:
        return
    for node in graph.node:
        if node.op_type in KINDS:
            _mend(node, trees)


def _mend(node: Any, trees: list[Any]) -> None:
    from onnx import helper

    named = {attribute.name: attribute for attribute in node.attribute}
    owners = np.array(named["nodes_treeids"].ints)
    places = np.array(named["nodes_nodeids"].ints)
    features = np.array(named["nodes_featureids"].ints)
    values = np.array(named["nodes_values"].floats, dtype=np.float32)
    tracks = np.array(named[TRACKS].ints) if TRACKS in named else np.zeros(len(owners), dtype=np.int64)
    for owner in np.unique(owners):
        mine = np.flatnonzero(owners == owner)
        mine = mine[np.argsort(places[mine])]
        tree = next((each for each in trees if _is(each, features[mine], values[mine])), None)
        if tree is not None:
            tracks[mine] = _routes(tree)
    if TRACKS in named:
        node.attribute.remove(named[TRACKS])
    node.attribute.append(helper.make_attribute(TRACKS, [int(each) for each in tracks]))


def _is(tree: Any, features: np.ndarray, values: np.ndarray) -> bool:
    if tree.node_count != len(features):
        return False
    branches = tree.children_left >= 0
    near = np.isclose(tree.threshold[branches].astype(np.float32), values[branches], rtol=1e-5, atol=1e-30)
    return bool((tree.feature[branches] == features[branches]).all() and near.all())


def _routes(tree: Any) -> np.ndarray:
    """1 for each node that sends missing numbers to its left, shape (nodes,)."""
    found = getattr(tree, "missing_go_to_left", None)
    if found is None:
        return np.zeros(tree.node_count, dtype=np.int64)
    return np.where(tree.children_left >= 0, np.asarray(found, dtype=np.int64), 0)


def _trees(model: Any) -> Iterator[Any]:
    if hasattr(model, "tree_"):
        yield model.tree_
    for each in np.ravel(getattr(model, "estimators_", [])):
        yield from _trees(each)
