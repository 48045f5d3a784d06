"""Owns what skl2onnx gets wrong and can be put right: a file for each family, applied around a conversion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evertrain.packaging.mends.attributes import plain_integers
from evertrain.packaging.mends.histogram_boosting import exact_splits, find_flaw, mend_link

__all__ = ["find_flaw", "mend_graph", "mended"]


@contextmanager
def mended(pipeline: Any) -> Iterator[None]:
    """While the block runs, *pipeline* converts as it answers; afterwards it is as it was."""
    with plain_integers(), exact_splits(pipeline):
        yield


def mend_graph(pipeline: Any, graph: Any) -> None:
    """Put right what the finished model of *pipeline* leaves out."""
    mend_link(pipeline, graph)
