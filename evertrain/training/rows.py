"""Owns what an estimator learns from: the training side's labelled rows behind the column layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evertrain.columns import InputSpec, encode_inputs, encode_target, input_names
from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, read_side, to_columns
from evertrain.records import Label
from evertrain.storage import Store


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """What an estimator learns from.

    Attributes:
        inputs: By input name, shape (n,): what the column layer made.
        specs: The inputs in their order.
        target: Shape (n,): int64 class codes from 0 without a gap, or float64.
        is_classification: Which of the two *target* is.
        weights: float64, shape (n,), not negative; None: all alike.
        newest: Boolean, shape (n,): the newest fifth, on which a calibration is fitted.
        times: When each row happened, shape (n,), in an order that ``<`` knows; None: nobody says.
        groups: int64, shape (n,): rows of one number never stand on two sides of a fold; None: each may.
    """

    inputs: Mapping[str, np.ndarray]
    specs: Sequence[InputSpec]
    target: np.ndarray
    is_classification: bool
    weights: np.ndarray | None
    newest: np.ndarray
    times: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows of how many inputs."""
        return len(self.target), len(self.inputs)


def read_rows(
    config: PipelineConfig, ingested: Ingested, store: Store
) -> tuple[TrainingRows, tuple[Label, ...] | None]:
    """Read the labelled rows of the training side as what an estimator learns from.

    Returns:
        The rows, and the classes that occur among them in the order of their codes (None for regression).
    """
    data, features = config.data, ingested.plan.features
    extra = [name for name in (data.timestamp, data.weight) if name is not None]
    names = [*dict.fromkeys([*(each.name for each in features), data.target, *extra, *data.entity])]
    table = read_side(store, ingested.snapshot, "train", target=data.target, columns=names)
    columns = to_columns(table, names)
    target, classes = _encode_target(columns[data.target], ingested.classes)
    times = None if data.timestamp is None else columns[data.timestamp]
    rows = TrainingRows(
        inputs=encode_inputs(features, columns),
        specs=input_names(features),
        target=target,
        is_classification=classes is not None,
        weights=None if data.weight is None else columns[data.weight].astype(np.float64),
        newest=find_newest_fifth(times, len(target)),
        times=times,
        groups=None if times is not None else _number_entities([columns[name] for name in data.entity]),
    )
    return rows, classes


def select_rows(rows: TrainingRows, chosen: np.ndarray) -> TrainingRows:
    """Take the rows that the boolean array *chosen*, shape (n,), marks; of them the newest fifth is anew."""
    times = None if rows.times is None else rows.times[chosen]
    return replace(
        rows,
        inputs={name: values[chosen] for name, values in rows.inputs.items()},
        target=rows.target[chosen],
        weights=None if rows.weights is None else rows.weights[chosen],
        newest=find_newest_fifth(times, int(chosen.sum())),
        times=times,
        groups=None if rows.groups is None else rows.groups[chosen],
    )


def thin_rows(rows: TrainingRows, most: int, seed: int) -> TrainingRows:
    """Take at most *most* rows, spread over the order in which they stand: a snapshot's, by time.

    The rows are cut into *most* stretches of one length and one row is drawn of each (stratified sampling,
    Cochran, Sampling Techniques, 1977, chapter 5): every k-th row would always meet the same entity where the
    data holds k rows a moment. A class of which no row is drawn keeps its first.

    Args:
        rows: All rows.
        most: How many to keep.
        seed: Seeds the draw.
    """
    total = len(rows.target)
    if total <= most:
        return rows
    drawn = np.random.default_rng(seed).random(most)
    chosen = np.zeros(total, dtype=bool)
    chosen[((np.arange(most) + drawn) * (total / most)).astype(np.int64).clip(max=total - 1)] = True
    if rows.is_classification:
        classes, first = np.unique(rows.target, return_index=True)
        chosen[first[~np.isin(classes, rows.target[chosen])]] = True
    return select_rows(rows, chosen)


def find_newest_fifth(times: np.ndarray | None, rows: int) -> np.ndarray:
    """Mark the newest fifth; without *times* every fifth row, for the snapshot's order is stable.

    Returns:
        Boolean, shape (rows,).
    """
    newest: np.ndarray = np.arange(rows) % 5 == 4
    if times is not None:
        order = np.argsort(times, kind="stable")
        newest = np.zeros(rows, dtype=bool)
        newest[order[rows - rows // 5 :]] = True
    return newest


def _encode_target(
    labels: np.ndarray, classes: tuple[Label, ...] | None
) -> tuple[np.ndarray, tuple[Label, ...] | None]:
    if classes is None:
        return labels.astype(np.float64), None
    codes = encode_target(labels, classes)
    seen, codes = np.unique(codes, return_inverse=True)
    return codes.astype(np.int64), tuple(classes[code] for code in seen)


def _number_entities(columns: Sequence[np.ndarray]) -> np.ndarray | None:
    import pandas as pd

    if not columns:
        return None
    numbers = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        # As text, an entity may be anything that a source holds: a time, a list.
        codes, known = pd.factorize(pd.Series(values).astype(str))
        numbers = pd.factorize(numbers * len(known) + codes)[0]
    return numbers.astype(np.int64)
