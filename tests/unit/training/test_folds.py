from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.columns import InputSpec
from evertrain.config import TrainingConfig
from evertrain.errors import TrainingError
from evertrain.training.folds import Fold, make_folds
from evertrain.training.rows import TrainingRows, find_newest_fifth


def rows(
    target: np.ndarray, times: np.ndarray | None = None, groups: np.ndarray | None = None
) -> TrainingRows:
    return TrainingRows(
        inputs={"in_000": np.zeros(len(target), dtype=np.float32)},
        specs=(InputSpec("in_000", "float"),),
        target=target,
        is_classification=target.dtype.kind == "i",
        weights=None,
        newest=find_newest_fifth(times, len(target)),
        times=times,
        groups=groups,
    )


def config(**options: Any) -> TrainingConfig:
    return TrainingConfig(estimator="sklearn.some.Estimator", **options)


def are_alike(first: tuple[Fold, ...], second: tuple[Fold, ...]) -> bool:
    return all(
        np.array_equal(a, b)
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@given(st.lists(st.integers(0, 30), min_size=12, max_size=60))
def test_folds_learn_from_the_past_alone(moments: list[int]) -> None:
    """What is learnt from is older than all that is judged, whatever the times; no row is judged twice."""
    times = np.array(moments)
    target = np.arange(len(times), dtype=np.float64)
    try:
        folds = make_folds(rows(target, times), config())
    except TrainingError:
        assert len(set(moments)) < 4
        return
    judged = np.sum([fold.judged for fold in folds], axis=0)
    assert judged.max() == 1
    for fold in folds:
        assert times[fold.learnt].max() < times[fold.judged].min()


def test_the_newer_half_is_judged_in_thirds() -> None:
    """Of sixty rows in a row the last thirty are judged, ten a fold, each by all that is older."""
    folds = make_folds(rows(np.arange(60.0), np.arange(60)), config())
    assert [int(fold.learnt.sum()) for fold in folds] == [30, 40, 50]
    assert [int(fold.judged.sum()) for fold in folds] == [10, 10, 10]


def test_without_times_each_class_is_dealt_out_alike_by_the_seed() -> None:
    """Folds hold the classes in equal shares, judge each row once, and follow from the seed."""
    target = np.array([0] * 60 + [1] * 30)
    folds = make_folds(rows(target), config(seed=3))
    assert [np.bincount(target[fold.judged]).tolist() for fold in folds] == [[20, 10]] * 3
    assert np.sum([fold.judged for fold in folds], axis=0).tolist() == [1] * 90
    assert are_alike(folds, make_folds(rows(target), config(seed=3)))
    assert not are_alike(folds, make_folds(rows(target), config(seed=4)))


@pytest.mark.parametrize("target", [np.tile([0, 1], 50), np.arange(100.0)])
def test_rows_of_one_entity_stand_on_one_side(target: np.ndarray) -> None:
    """No entity is both learnt from and judged."""
    groups = np.random.default_rng(0).integers(0, 20, 100)
    for fold in make_folds(rows(target, groups=groups), config()):
        assert not set(groups[fold.learnt]) & set(groups[fold.judged])


def test_numbers_without_times_are_dealt_out_too() -> None:
    """A regression without times has three folds of all its rows."""
    folds = make_folds(rows(np.arange(30.0)), config())
    assert np.sum([fold.judged for fold in folds], axis=0).tolist() == [1] * 30


def test_a_fold_that_lacks_a_class_is_left_out() -> None:
    """A class that begins late can't be learnt in the early folds, a class alone can't be judged."""
    target = np.zeros(60, dtype=np.int64)
    target[32:45] = np.tile([0, 1], 7)[:13]
    (fold,) = make_folds(rows(target, np.arange(60)), config())
    assert int(fold.learnt.sum()) == 40


def test_a_calibrated_fold_has_every_class_in_both_parts() -> None:
    """Where a fold's newest fifth lacks a class, the fold is left out; where all do, that is an error."""
    target = np.tile([0, 1], 30)
    target[22:42] = 0
    plain, calibrated = (
        make_folds(rows(target, np.arange(60)), config(calibration=name)) for name in ("none", "sigmoid")
    )
    assert (len(plain), len(calibrated)) == (2, 1)


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (rows(np.array([0, 0, 0, 1])), "each class"),
        (rows(np.array([0, 1, 0, 1]), times=np.zeros(4)), "each class"),
        (rows(np.arange(9.0), times=np.zeros(9)), "different times or entities"),
        (rows(np.arange(9.0), groups=np.tile([0, 1, 0], 3)), "different times or entities"),
        (rows(np.array([0, 1, 2])), "each class"),
    ],
)
def test_rows_without_a_fold_are_refused(made: TrainingRows, what: str) -> None:
    """Where nothing can be judged the error names the setting and what is lacking."""
    with pytest.raises(TrainingError, match=f"can't be cut into folds with {what}") as refusal:
        make_folds(made, config())
    assert refusal.value.attributes["path"] == "training.search"
