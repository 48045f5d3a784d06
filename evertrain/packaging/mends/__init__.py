"""Owns what skl2onnx gets wrong and can be put right: a file for each family, applied around a conversion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evertrain.packaging.mends import histogram_boosting
from evertrain.packaging.mends.attributes import plain_integers
from evertrain.packaging.mends.boosters import booster_converters, find_missing_converter
from evertrain.packaging.mends.histogram_boosting import exact_splits, mend_link
from evertrain.packaging.mends.missing_values import mend_missing_values
from evertrain.packaging.mends.stand_ins import stand_in, unflattened_votes

__all__ = ["find_flaw", "mend_graph", "mended", "stand_in"]


def find_flaw(pipeline: Any) -> str | None:
    """Say what of *pipeline* can't be mended; None if nothing is known."""
    return find_missing_converter(pipeline) or histogram_boosting.find_flaw(pipeline)


@contextmanager
def mended(pipeline: Any) -> Iterator[None]:
    """While the block runs, *pipeline* converts as it answers; afterwards it is as it was."""
    with (
        plain_integers(),
        exact_splits(pipeline),
        booster_converters(pipeline),
        unflattened_votes(pipeline),
    ):
        yield


def mend_graph(pipeline: Any, graph: Any) -> None:
    """Put right what the finished model of *pipeline* leaves out."""
    mend_link(pipeline, graph)
    mend_missing_values(pipeline, graph)
