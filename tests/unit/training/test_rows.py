"""Tests of which rows a probe learns from where there are more than it may."""

from __future__ import annotations

import numpy as np
import pytest

from evertrain.training.rows import TrainingRows, find_newest_fifth, thin_rows


def rows_of(target: np.ndarray, *, is_classification: bool = True) -> TrainingRows:
    """Rows in the order of time, each with its place as its one input."""
    places = np.arange(len(target))
    return TrainingRows(
        inputs={"place": places},
        specs=(),
        target=target,
        is_classification=is_classification,
        weights=None,
        newest=find_newest_fifth(places, len(target)),
        times=places,
    )


def test_few_rows_are_all_kept() -> None:
    """The default bound leaves a small window as it is."""
    rows = rows_of(np.zeros(100, dtype=np.int64))
    assert thin_rows(rows, 100, seed=0) is rows


@pytest.mark.parametrize(("total", "most"), [(100_000, 1_000), (1_001, 1_000), (10_000, 9_999)])
def test_the_rows_that_stay_are_spread_over_all_of_the_time(total: int, most: int) -> None:
    """At most so many, in their order, no stretch of time without its share; the same ones for a seed."""
    rows = rows_of(np.arange(total, dtype=np.float64), is_classification=False)
    kept = thin_rows(rows, most, seed=3)
    places = kept.inputs["place"]
    assert 0.6 * most <= len(places) <= most
    assert (np.diff(places) > 0).all()
    assert np.diff(places, prepend=0, append=total).max() <= 2 * total / most + 1
    assert kept.newest.sum() == len(places) // 5
    assert (thin_rows(rows, most, seed=3).inputs["place"] == places).all()


def test_rows_that_alternate_are_not_met_by_turns() -> None:
    """Two entities by turns: every k-th row would be of one alone."""
    entity = np.arange(100_000) % 2
    kept = thin_rows(rows_of(entity), 1_000, seed=0)
    assert 0.4 < kept.target.mean() < 0.6


def test_a_class_that_is_rare_stays() -> None:
    """Whatever is drawn, the probe knows every class that the champion might know."""
    target = np.zeros(100_000, dtype=np.int64)
    target[77_777] = 1
    kept = thin_rows(rows_of(target), 100, seed=0)
    assert np.unique(kept.target).tolist() == [0, 1]
