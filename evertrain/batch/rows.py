"""Owns a chunk of rows on its way through the model: Arrow columns in, answers as Arrow columns out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evertrain.batch.sorting import predict_sorted, sort_keys
from evertrain.bundles import Bundle
from evertrain.columns import MISSING, Coded, Values, encode_inputs
from evertrain.datasets.hints import name_closest
from evertrain.datasets.snapshots import to_columns
from evertrain.errors import DataRefused, InvalidInput, ModelFailed, SourceError, TrainingError
from evertrain.predictions import Prediction
from evertrain.records import Feature
from evertrain.spelling import spell_categories

if TYPE_CHECKING:
    import pyarrow as pa

    from evertrain.datasets.tables import Table


class Scorer:
    """Scores chunks with one version.

    Args:
        bundle: Of the version.
        version: Its number.
        key: Names the batch: prediction ids are ``batch-<key>/<row>``.
    """

    def __init__(self, bundle: Bundle, version: int, key: str) -> None:
        self._bundle = bundle
        self._version = version
        self._key = key
        self._carried: list[str] = []

    def choose_columns(self, table: Table) -> list[str]:
        """The columns that are read: the features, then entity and timestamp where they are there.

        Raises:
            SourceError: A feature's column isn't there.
        """
        signature = self._bundle.signature
        features = [feature.name for feature in signature.features]
        missing = [name for name in features if name not in table.names]
        if missing:
            raise SourceError(
                f"The rows lack the column {missing[0]!r}, which the model takes; "
                f"{name_closest(missing[0], table.names)} Where `data.query` makes it, use --query.",
                column=missing[0],
            )
        beside = [*signature.entity, *([signature.timestamp] if signature.timestamp else [])]
        self._carried = [name for name in beside if name in table.names]
        return list(dict.fromkeys([*features, *self._carried]))

    def score(self, chunk: pa.Table, first: int) -> tuple[pa.Table, Mapping[str, int]]:
        """Score *chunk*, whose first row is row *first* of the input.

        Returns:
            The answers, a row each: ``prediction_id``, entity and timestamp, ``prediction``,
            ``probability_<class>``, ``version``; and by feature how many values training didn't have.

        Raises:
            DataRefused: A value can't be what its column is.
            TrainingError: The model fails.
        """
        features = self._bundle.signature.features
        columns = {feature.name: _as_values(chunk, feature) for feature in features}
        try:
            prediction = self._predict(columns)
        except InvalidInput as error:
            row = error.attributes.get("row")
            told = (
                error.message if row is None else error.message.replace(f"row {row}", f"row {first + row}", 1)
            )
            raise DataRefused(f"{told} Rows are counted from 0. Nothing was written.") from error
        except ModelFailed as error:
            raise TrainingError(f"{error.message} Nothing was written.") from error
        return self._answers(chunk, prediction, first), _count_unseen(self._bundle, columns)

    def _predict(self, columns: Mapping[str, Values]) -> Prediction:
        inputs = encode_inputs(self._bundle.signature.features, columns)
        keys = sort_keys(inputs, list(columns.values()))
        if keys is None:
            return self._bundle.predict_inputs(inputs)
        return predict_sorted(self._bundle.predict_inputs, inputs, keys)

    def _answers(self, chunk: pa.Table, prediction: Prediction, first: int) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = chunk.num_rows
        numbers = pa.array(np.arange(first, first + rows)).cast(pa.string())
        answers: dict[str, pa.Array] = {
            "prediction_id": pc.binary_join_element_wise(f"batch-{self._key}", numbers, "/"),
            **{name: chunk.column(name) for name in self._carried},
            "prediction": self._predictions(prediction),
        }
        if prediction.probabilities is not None:
            for place, label in enumerate(self._bundle.signature.classes or ()):
                spelled = spell_categories([label])[0]
                answers[f"probability_{spelled}"] = pa.array(prediction.probabilities[:, place])
        answers["version"] = pa.array(np.full(rows, self._version, dtype=np.int64))
        return pa.table(answers)

    def _predictions(self, prediction: Prediction) -> pa.Array:
        import pyarrow as pa

        if prediction.codes is None:
            return pa.array(prediction.values)
        return pa.array(list(self._bundle.signature.classes or ())).take(pa.array(prediction.codes))


def _as_values(chunk: pa.Table, feature: Feature) -> Values:
    """A feature's values; of a category each distinct one once, for spelling it costs more than the model."""
    import pyarrow as pa

    column = chunk.column(feature.name)
    kind = column.type
    if feature.kind != "categorical" or not (
        pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    ):
        return to_columns(chunk, [feature.name])[feature.name]
    coded = column.combine_chunks().dictionary_encode()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    distinct = coded.dictionary.to_pylist()
    places = coded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    return Coded([*distinct, None], places)


def _count_unseen(bundle: Bundle, columns: Mapping[str, Values]) -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for name, values in columns.items():
        listed = bundle.statistics.get(name, {}).get("categories")
        if listed is None or not isinstance(values, Coded):
            continue
        seen = {*listed, MISSING}
        spelled: Sequence[str] = spell_categories(values.distinct).tolist()
        unseen = np.array([text not in seen for text in spelled])
        counts[name] += int(unseen[values.places].sum())
    return +counts
