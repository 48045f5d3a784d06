"""Owns the folds that a search judges by: parts of the training window, never a held-out row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from evertrain.config import TrainingConfig
from evertrain.errors import TrainingError
from evertrain.quiet import quiet
from evertrain.training.rows import TrainingRows, select_rows

FOLDS = 3


class Fold(NamedTuple):
    """Which rows are learnt from and which are judged on: booleans, shape (n,); rows may be in neither."""

    learnt: np.ndarray
    judged: np.ndarray


def make_folds(rows: TrainingRows, config: TrainingConfig) -> tuple[Fold, ...]:
    """Cut the training rows into folds.

    With times, the newer half is cut in three, and each third is judged by what learnt from all that is
    older; rows of one time stand together. Without, the rows are dealt out by the seed: those of one
    entity together, else each class in equal shares. A fold that lacks a class to learn from (with a
    calibration: in either of its parts), or has one class alone to be judged on, is left out.

    Args:
        rows: The training side.
        config: Its seed and calibration.

    Raises:
        TrainingError: No fold is left.
    """
    folds = _by_time(rows.times) if rows.times is not None else _dealt_out(rows, config.seed)
    usable = tuple(fold for fold in folds if _is_usable(fold, rows, config.calibration != "none"))
    if not usable:
        what = "each class" if rows.is_classification else "different times or entities"
        raise TrainingError(
            f"training.search: the {len(rows.target):,} training rows can't be cut into folds with "
            f"{what} to learn from and to be judged on; widen the training window, or take the search out.",
            path="training.search",
        )
    return usable


def _by_time(times: np.ndarray) -> Iterator[Fold]:
    ordered = np.sort(times)
    starts = [ordered[len(ordered) * (FOLDS + fold) // (2 * FOLDS)] for fold in range(FOLDS)]
    for place, start in enumerate(starts):
        ends = starts[place + 1 :]
        yield Fold(times < start, (times >= start) & (times < ends[0] if ends else True))


def _dealt_out(rows: TrainingRows, seed: int) -> Iterator[Fold]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    count = len(rows.target)
    units = count if rows.groups is None else len(np.unique(rows.groups))
    if units < FOLDS:
        return
    options = {"n_splits": FOLDS, "shuffle": True, "random_state": seed}
    if rows.groups is not None:
        dealer = GroupKFold(**options)
    elif rows.is_classification and np.bincount(rows.target).max() >= FOLDS:
        dealer = StratifiedKFold(**options)
    else:
        dealer = KFold(**options)
    with quiet():
        dealt = list(dealer.split(np.empty((count, 0)), rows.target, rows.groups))
    for learnt, judged in dealt:
        yield Fold(_mark(learnt, count), _mark(judged, count))


def _mark(places: np.ndarray, count: int) -> np.ndarray:
    marked = np.zeros(count, dtype=bool)
    marked[places] = True
    return marked


def _is_usable(fold: Fold, rows: TrainingRows, is_calibrated: bool) -> bool:
    judged = rows.target[fold.judged]
    if not rows.is_classification:
        return min(int(fold.learnt.sum()), len(judged)) > 1
    learnt = select_rows(rows, fold.learnt)
    parts = (
        [learnt.target[~learnt.newest], learnt.target[learnt.newest]] if is_calibrated else [learnt.target]
    )
    classes = len(np.unique(rows.target))
    has_all = all(len(np.unique(part)) == classes for part in parts)
    return has_all and len(np.unique(judged)) > 1
