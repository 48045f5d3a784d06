"""Owns prediction drift: what a champion answers on the newest rows beside what it did when held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evertrain.drift.judging import judge
from evertrain.drift.scoring import score_column, untold
from evertrain.drift_records import JENSEN_SHANNON, THRESHOLD, WASSERSTEIN, ColumnDrift, DriftColumn
from evertrain.errors import InvalidInput, ModelFailed
from evertrain.predictions import Prediction, join_predictions
from evertrain.spelling import spell_category

if TYPE_CHECKING:
    from evertrain.bundles import Bundle
    from evertrain.drift.readers import ColumnReader
    from evertrain.records import Signature

MOST_ROWS = 50_000
"""So many of each side are answered at most; of more, a sample."""
ROWS_AT_ONCE = 10_000


class Answers:
    """A champion's answers as a column of values in the order of its rows.

    Args:
        name: What it is called.
        values: Finite numbers, shape (n,), or categories, shape (n,), of object.
    """

    def __init__(self, name: str, values: np.ndarray) -> None:
        self.names = (name,)
        self.rows = len(values)
        self._values = values

    def column(self, _name: str) -> np.ndarray:
        """The values."""
        return self._values

    def count_values(self, _name: str) -> tuple[np.ndarray, np.ndarray]:
        """The distinct values, and in how many rows each stands."""
        values, counts = np.unique(self._values, return_counts=True)
        return values, counts

    def code_values(self, _name: str) -> tuple[np.ndarray, np.ndarray]:
        """The distinct values, and which of them each row has."""
        values, codes = np.unique(self._values, return_inverse=True)
        return values, codes


def measure_predictions(
    bundle: Bundle, held_out: ColumnReader, current: ColumnReader, *, seed: int
) -> ColumnDrift:
    """Compare a champion's answers on the newest rows with those on rows that it had not learnt from.

    On what it learnt from, a model is surer than on any other rows: those would always differ. Probabilities
    of the positive one of two classes, and numbers, are told by normed Wasserstein distance; of more classes,
    or without probabilities, the mix of predicted classes by Jensen-Shannon.

    Args:
        bundle: The champion.
        held_out: What it was judged on, in time order.
        current: The newest rows.
        seed: What a sample of more than 50,000 rows is drawn by.

    Returns:
        A column's drift; it says why where the champion can't answer.
    """
    column = _plan(bundle.signature)
    sides: list[Answers] = []
    for side, reader in (("held-out", held_out), ("current", current)):
        if not reader.rows:
            return untold(column, f"there are no {side} rows")
        try:
            sides.append(Answers(column.name, _tell(bundle.signature, _answer(bundle, reader, seed))))
        except InvalidInput as cause:
            return untold(column, f"the champion can't answer the {side} rows: {cause.message}")
        except ModelFailed as cause:
            return untold(column, f"the champion fails on the {side} rows: {cause.message}")
    reference, newest = sides
    (drift,) = judge([score_column(column, reference, newest, columns=1)])
    return drift


def _plan(signature: Signature) -> DriftColumn:
    classes = signature.classes
    if classes is None:
        name, numeric = f"predicted {signature.target}", True
    elif _is_binary(signature):
        name, numeric = f"probability of {spell_category(classes[-1])}", True
    else:
        name, numeric = f"predicted class of {signature.target}", False
    return DriftColumn(
        name=name,
        kind="numeric" if numeric else "categorical",
        method=WASSERSTEIN if numeric else JENSEN_SHANNON,
        threshold=THRESHOLD,
    )


def _is_binary(signature: Signature) -> bool:
    return signature.has_probabilities and signature.classes is not None and len(signature.classes) == 2


def _answer(bundle: Bundle, reader: ColumnReader, seed: int) -> Prediction:
    from evertrain.datasets.stored_rows import rows_of_table

    features = {feature.name for feature in bundle.signature.features}
    drawn = rows_of_table(reader.sample(MOST_ROWS, seed))
    columns = {name: drawn.column(name) for name in drawn.names if name in features}
    parts = []
    for start in range(0, drawn.rows, ROWS_AT_ONCE):
        cut = {name: values[start : start + ROWS_AT_ONCE] for name, values in columns.items()}
        parts.append(bundle.predict(cut))
    return join_predictions(parts)


def _tell(signature: Signature, answers: Prediction) -> np.ndarray:
    if answers.codes is None:
        assert answers.values is not None
        return answers.values
    if _is_binary(signature) and answers.probabilities is not None:
        return answers.probabilities[:, 1].astype(np.float64)
    return np.array([spell_category(label) for label in answers.labels(signature)], dtype=object)
