"""Owns looking at slices: how a column is cut into them, and what each gains, with Holm's correction."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evertrain.evaluation.answers import Truth
from evertrain.evaluation.gains import Interval, PairedGain
from evertrain.evaluation.scores import IntArray
from evertrain.records import SliceGain, SliceGains
from evertrain.spelling import MISSING, is_missing, spell_category

CONFIDENCE = 0.95
MOST_DISTINCT = 20
"""Numbers and times of at most so many different values are sliced by value, others into fifths."""
FEWEST_OF_A_CLASS = 5
"""A class with fewer rows in a slice is lacking there: to resample four rows doesn't tell how they stray."""
MOST_LISTED = 200


class Slice(NamedTuple):
    """The rows (their places) where *column* is *value*."""

    column: str
    value: str
    rows: IntArray


def cut_slices(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> list[Slice]:
    """Cut the rows by each of *names*: a slice for each value that occurs, missing values among them.

    Numbers and times of over twenty different values are cut into fifths of the rows, as near as equal values
    allow; the slice's value is then its range.

    Args:
        columns: Raw held-out columns by name, each of shape [n].
        names: Which to cut by.
    """
    return [
        Slice(name, value, np.flatnonzero(codes == code))
        for name in names
        for codes, values in [_cut(columns[name])]
        for code, value in enumerate(values)
    ]


def _cut(column: np.ndarray) -> tuple[IntArray, list[str]]:
    if column.dtype.kind in "iufM":
        missing = np.isnat(column) if column.dtype.kind == "M" else np.isnan(column)
        distinct = np.unique(column[~missing])
        if distinct.size > MOST_DISTINCT:
            return _cut_range(column, missing)
    codes = np.empty(column.size, dtype=np.int64)
    places: dict[str, int] = {}
    for row, value in enumerate(column):
        codes[row] = places.setdefault(_spell(value), len(places))
    order = sorted(range(len(places)), key=list(places).__getitem__)
    ranks = np.argsort(order)
    return ranks[codes].astype(np.int64), sorted(places)


def _cut_range(column: np.ndarray, missing: np.ndarray) -> tuple[IntArray, list[str]]:
    there = np.sort(column[~missing])
    edges = np.unique(there[[there.size * fifth // 5 for fifth in range(1, 5)]])
    codes = np.searchsorted(edges, column, side="right")
    codes[missing] = edges.size + 1
    spelled = [_spell(edge) for edge in edges]
    between = [f"{low} to under {high}" for low, high in itertools.pairwise(spelled)]
    values = [f"under {spelled[0]}", *between, f"{spelled[-1]} and over", MISSING]
    occurring, dense = np.unique(codes, return_inverse=True)
    return dense.astype(np.int64), [values[code] for code in occurring]


def _spell(value: object) -> str:
    if isinstance(value, np.datetime64) and not is_missing(value):
        return str(value.astype("datetime64[s]"))
    try:
        return spell_category(value)
    except ValueError:
        return str(value)


def why_not_shown(rows: IntArray, truth: Truth, min_rows: int) -> str | None:
    """Say why nothing can be shown of a slice; None if it can: it has the rows, and rows of every class.

    A class that no held-out row has is no slice's lack.
    """
    if rows.size < min_rows:
        return f"{rows.size} of {min_rows} rows"
    wanted = np.flatnonzero(np.bincount(truth.codes))
    counts = np.bincount(truth.codes[rows], minlength=int(truth.codes.max()) + 1)[wanted]
    if not truth.names or counts.min() >= FEWEST_OF_A_CLASS:
        return None
    fewest = int(counts.argmin())
    return f"{counts[fewest] or 'no'} rows of class {truth.names[wanted[fewest]]}"


def judge_slices(
    slices: Sequence[Slice],
    truth: Truth,
    measure: Callable[[IntArray], PairedGain],
    *,
    metric: str,
    max_regression: float,
    min_rows: int,
) -> SliceGains:
    """Measure every slice that can be shown, and find those that lose too much.

    Holm's correction (Scandinavian Journal of Statistics 6, 1979): of m slices those fail whose interval at
    1 - 0.05 / m lies below the margin; then the others are held, at the confidence that their smaller number
    leaves, until none fails. So chance alone fails a harmless model in at most 2.5 %, however many slices.

    Args:
        slices: All slices.
        truth: What really happened on the held-out rows.
        measure: Gives the gain on some of the rows.
        metric: What is measured.
        max_regression: What a slice may lose.
        min_rows: What a slice must have to be shown.
    """
    why = [why_not_shown(each.rows, truth, min_rows) for each in slices]
    gains = {place: measure(slices[place].rows) for place, reason in enumerate(why) if reason is None}
    intervals, confidences, failed = _holm(gains, -max_regression)
    shown = [
        SliceGain(
            column=slices[place].column,
            value=slices[place].value,
            rows=slices[place].rows.size,
            verdict="fail" if place in failed else "pass",
            gain=gain.gain,
            low=intervals[place][0],
            high=intervals[place][1],
            confidence=confidences[place],
        )
        for place, gain in sorted(gains.items(), key=lambda item: intervals[item[0]][1])
    ]
    missing = [
        SliceGain(
            column=each.column, value=each.value, rows=each.rows.size, verdict="not_shown", missing=reason
        )
        for each, reason in sorted(zip(slices, why, strict=True), key=lambda pair: -pair[0].rows.size)
        if reason is not None
    ]
    return SliceGains(
        metric=metric,
        max_regression=max_regression,
        min_rows=min_rows,
        shown=len(shown),
        total=len(slices),
        slices=tuple([*shown, *missing][:MOST_LISTED]),
    )


def _holm(
    gains: Mapping[int, PairedGain], limit: float
) -> tuple[dict[int, Interval], dict[int, float], set[int]]:
    """Give each slice's interval, the confidence it has, and which slices fail."""
    intervals: dict[int, Interval] = {}
    confidences: dict[int, float] = {}
    failed: set[int] = set()
    rest = set(gains)
    while rest:
        confidence = 1 - (1 - CONFIDENCE) / len(rest)
        for place in rest:
            intervals[place], confidences[place] = gains[place].interval(confidence), confidence
        found = {place for place in rest if intervals[place][1] < limit}
        if not found:
            break
        failed |= found
        rest -= found
    return intervals, confidences, failed
