"""Owns Evidently: its Snapshot of one check, with our exact scores in it and figures drawn from a sample."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evertrain.datasets.stored_rows import rows_of_table
from evertrain.drift.readers import ColumnReader, read_known, to_numbers, to_texts
from evertrain.drift_records import ColumnDrift, DriftColumn, DriftMeasured, DriftPlan
from evertrain.errors import EvertrainError
from evertrain.quiet import quiet

if TYPE_CHECKING:
    import pandas as pd

# Figures are drawn of this at most: Evidently's bins and correlations overflow beyond.
LARGEST_DRAWN = 1e100
METHODS = {
    "wasserstein": ("wasserstein_full_data", "Wasserstein distance (normed), full data"),
    "jensenshannon": ("jensenshannon_full_data", "Jensen-Shannon distance, full data"),
}
DATA_IN_SCRIPT = re.compile(r"^ *var (additional_graphs_)?metric_[0-9a-f]{32} = .*;$", re.MULTILINE)
# Evidently keeps its tests in one list of the process, and asks them by name.
_ONE_AT_A_TIME = threading.Lock()


class EvidentlyReport(NamedTuple):
    """Evidently's Snapshot: its page (about 4 MB), and its ``metrics`` and ``tests``."""

    html: bytes
    json: dict[str, Any]


def draw_snapshot(
    plan: DriftPlan,
    measured: DriftMeasured,
    sides: tuple[ColumnReader, ColumnReader],
    *,
    seed: int,
    sample_rows: int,
) -> EvidentlyReport | None:
    """Let Evidently tell what was measured: the scores are of all rows, only the figures of a sample.

    Args:
        plan: The columns.
        measured: Their scores.
        sides: The reference and the current rows.
        seed: What the samples are drawn by.
        sample_rows: At most so many rows a side are drawn.

    Returns:
        None where no column could be scored: Evidently has nothing to say of such.

    Raises:
        EvertrainError: Evidently failed on the sample; what was measured stands regardless.
    """
    scores = {each.name: each for each in measured.columns if each.score is not None}
    columns = [column for column in plan.columns if column.name in scores]
    if not columns:
        return None
    reference, current = (_sample(columns, reader, sample_rows, seed) for reader in sides)
    vanished = sum(column.drifted for column in measured.columns if column.score is None)
    share = (measured.max_share * len(measured.columns) - vanished) / len(columns)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with quiet(), _ONE_AT_A_TIME:
        try:
            return _run(columns, scores, share, reference, current)
        except Exception as cause:
            raise EvertrainError(
                f"Evidently can't draw its report: {cause}. The scores are not touched by this."
            ) from cause


def _sample(columns: Sequence[DriftColumn], reader: ColumnReader, rows: int, seed: int) -> pd.DataFrame:
    import pandas as pd

    drawn = rows_of_table(reader.sample(rows, seed))
    return pd.DataFrame({column.name: _draw_column(column, reader, drawn) for column in columns})


def _draw_column(column: DriftColumn, reader: ColumnReader, drawn: ColumnReader) -> np.ndarray:
    values = drawn.column(column.feature or column.name)
    if column.kind == "categorical":
        texts = to_texts(column, values)
        if all(text is None for text in texts):
            texts[0] = next(iter(read_known(column, reader).counts))
        return texts
    numbers = to_numbers(column, values)
    numbers[~np.isfinite(numbers)] = np.nan
    # A column whose few values the sample misses would be an empty one to Evidently.
    if np.isnan(numbers).all():
        numbers[0] = read_known(column, reader).numbers[0]
    clipped: np.ndarray = np.clip(numbers, -LARGEST_DRAWN, LARGEST_DRAWN)
    return clipped


def _run(
    columns: Sequence[DriftColumn],
    scores: Mapping[str, ColumnDrift],
    share: float,
    reference: pd.DataFrame,
    current: pd.DataFrame,
) -> EvidentlyReport:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import DriftedColumnsCount, ValueDrift
    from evidently.tests import lte

    _register(scores)
    methods = {column.name: METHODS[column.method][0] for column in columns}
    thresholds = {column.name: scores[column.name].threshold for column in columns}
    count = DriftedColumnsCount(
        columns=list(methods),
        drift_share=share,
        per_column_method=methods,
        per_column_threshold=thresholds,
        share_tests=[lte(share)],
    )
    drifts = [
        ValueDrift(column=name, method=method, threshold=thresholds[name]) for name, method in methods.items()
    ]
    definition = DataDefinition(
        numerical_columns=[column.name for column in columns if column.kind != "categorical"],
        categorical_columns=[column.name for column in columns if column.kind == "categorical"],
    )
    sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in (current, reference)]
    snapshot = Report([count, *drifts], include_tests=True).run(*sides)
    page = snapshot.get_html_str(as_iframe=False)
    return EvidentlyReport(html=_disarm(page).encode(), json=json.loads(snapshot.json()))


def _disarm(page: str) -> str:
    """Spell ``<`` in the data that the page's script holds as JSON does: a name could end the script."""
    return DATA_IN_SCRIPT.sub(lambda line: line[0].replace("<", "\\u003c"), page)


def _register(scores: Mapping[str, ColumnDrift]) -> None:
    """Make Evidently's tests answer with *scores*; there is no way to do so outside its legacy part."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    kinds = {"wasserstein": ColumnType.Numerical, "jensenshannon": ColumnType.Categorical}
    for method, (name, title) in METHODS.items():
        register_stattest(StatTest(name, title, [kinds[method]]), _answer(scores))


def _answer(scores: Mapping[str, ColumnDrift]) -> Callable[..., tuple[float, bool]]:
    def answer(reference: pd.Series, *_: object) -> tuple[float, bool]:
        found = scores[str(reference.name)]
        assert found.score is not None
        return found.score, found.drifted

    return answer
