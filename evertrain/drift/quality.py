"""Owns what the quality of data lost: values that went missing, categories and numbers never seen before."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log
from typing import NamedTuple

import numpy as np

from evertrain.columns import DATETIME_PARTS
from evertrain.drift.discovery import LEVEL
from evertrain.drift.readers import Known
from evertrain.drift_records import DriftColumn, QualityFinding

LEAST_SHARE = 0.01
"""No change of fewer rows is an alert, however sure it is."""
LONGEST_RUN = 10
"""So many rows out of range in a row are one event; a feed that stays there is none by chance."""
EXAMPLES = 3
LONGEST_EXAMPLE = 80


class Terms(NamedTuple):
    """By what a finding is judged: the effective number of rows, and the chance that an alert may have."""

    rows: float
    level: float


def find_quality(
    column: DriftColumn, reference: Known, current: Known, *, block: int, columns: int
) -> list[QualityFinding]:
    """Tell what share of rows lost its values, or has values that none of the reference rows has.

    Whether it is an alert is told at a level that all columns of a check share: less than one check in two
    hundred of unchanged rows has one. Of a datetime feature only its first part tells, of missing values.

    Args:
        column: Which one.
        reference: Its values there.
        current: Its newest values.
        block: So many consecutive rows are alike: where one is far out, its neighbours are, too.
        columns: How many columns the check has.
    """
    if column.part not in (None, DATETIME_PARTS[0]):
        return []
    sides = reference.rows * current.rows / max(reference.rows + current.rows, 1)
    # Two kinds of findings a column.
    terms = Terms(sides, LEVEL / (2 * max(columns, 1)))
    found = list(_find_missing(column, reference, current, terms))
    if column.part is None and not reference.is_empty and not current.is_empty:
        if column.kind == "categorical":
            found += _find_unseen(column, reference, current, terms)
        else:
            lasting = terms._replace(rows=sides / min(block, LONGEST_RUN))
            found += _find_outside(column, reference, current, lasting)
    return found


def chance_bound(share: float, expected: float, rows: float) -> float:
    """Bound the chance that *share* of so many rows, or further off, is met where *expected* is.

    Chernoff's bound by relative entropy (Ann. Math. Stat. 23, 1952), which holds at any size.
    """
    expected = min(max(expected, 1e-12), 1 - 1e-12)
    entropy = share * log(share / expected) if share > 0 else 0.0
    entropy += (1 - share) * log((1 - share) / (1 - expected)) if share < 1 else 0.0
    return exp(-rows * max(entropy, 0.0))


def _find_missing(
    column: DriftColumn, reference: Known, current: Known, terms: Terms
) -> Iterator[QualityFinding]:
    before, now = reference.missing_share, current.missing_share
    if abs(now - before) < LEAST_SHARE or not reference.rows or not current.rows:
        return
    pooled = (before * reference.rows + now * current.rows) / (reference.rows + current.rows)
    yield QualityFinding(
        column=column.feature or column.name,
        kind="missing",
        reference=before,
        current=now,
        rows=round(now * current.rows),
        alert=chance_bound(now, pooled, terms.rows) <= terms.level,
    )


def _find_unseen(
    column: DriftColumn, reference: Known, current: Known, terms: Terms
) -> Iterator[QualityFinding]:
    unseen = {text: count for text, count in current.counts.items() if text not in reference.counts}
    if not unseen:
        return
    # Good and Turing: a row bears a new category about as often as one bore one that stands there once.
    once = sum(count == 1 for count in reference.counts.values())
    rows = sum(unseen.values())
    examples = sorted(unseen, key=lambda text: (-unseen[text], text))[:EXAMPLES]
    yield QualityFinding(
        column=column.name,
        kind="unseen",
        reference=once / reference.known,
        current=rows / current.known,
        rows=rows,
        alert=_is_alert(rows / current.known, (once + 1) / (reference.known + 1), terms),
        examples=tuple(text[:LONGEST_EXAMPLE] for text in examples),
    )


def _find_outside(
    column: DriftColumn, reference: Known, current: Known, terms: Terms
) -> Iterator[QualityFinding]:
    numbers, low, high = current.numbers, reference.numbers.min(), reference.numbers.max()
    below, above = numbers < low, numbers > high
    rows = int(np.count_nonzero(below) + np.count_nonzero(above))
    if not rows:
        return
    furthest = [numbers.min()] * bool(below.any()) + [numbers.max()] * bool(above.any())
    # Each of all rows is as likely to hold the least or the greatest.
    expected = 3 / (reference.known + 1)
    yield QualityFinding(
        column=column.name,
        kind="out_of_range",
        reference=0.0,
        current=rows / current.known,
        rows=rows,
        alert=_is_alert(rows / current.known, expected, terms),
        examples=tuple(f"{number:.6g}" for number in furthest),
    )


def _is_alert(share: float, expected: float, terms: Terms) -> bool:
    if share < max(LEAST_SHARE, expected):
        return False
    return chance_bound(share, expected, terms.rows) <= terms.level
