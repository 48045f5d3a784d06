"""Owns which looks at a hold-out came before: fingerprints of its rows, beside the journal's ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evertrain.storage import Store

if TYPE_CHECKING:
    from evertrain.config import DataConfig
    from evertrain.release.lifecycle import PipelineState

Fingerprints = npt.NDArray[np.uint64]
SAME_SHARE = 0.5
LONGEST_LOOK_BACK = 100
"""So many earlier versions are held against the rows: the hundredth look spends a 16,000th of the error."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Look:
    """A challenger's turn at held-out rows: which one it is, counted from 1, and the rows' digest."""

    number: int
    holdout: str


def take_look(store: Store, state: PipelineState, run_key: str, columns: Mapping[str, np.ndarray]) -> Look:
    """Say which look at these held-out rows a challenger takes, and keep their fingerprints for later ones.

    An earlier version counts where it met a champion on rows of which more than half of these were part. Of
    the last hundred versions each is asked. A run that has registered its version already takes the same look
    as then.

    Args:
        store: Holds ``holdouts/<digest>``.
        state: The pipeline's ledger.
        run_key: The run's.
        columns: The labelled held-out rows: the columns that `identity_columns` names, each of shape [n].

    Raises:
        StorageError: The store can't be read or written.
    """
    ours = fingerprint_rows(columns)
    digest = keep_fingerprints(store, ours)
    registered = state.find_run(run_key)
    if registered is not None and registered.look is not None:
        return Look(registered.look, registered.holdout or digest)
    looked = [each.holdout for each in state.versions.values() if each.holdout and each.run_key != run_key]
    earlier = looked[-LONGEST_LOOK_BACK:]
    same = {each for each in set(earlier) if each == digest or _overlap(store, ours, each) > SAME_SHARE}
    return Look(1 + sum(each in same for each in earlier), digest)


def identity_columns(names: Sequence[str], data: DataConfig) -> list[str]:
    """Name the columns that tell rows from each other: entity and timestamp, or else all but the target.

    So a query that computes another column makes no new hold-out of the same events, and neither does a
    label that is corrected.
    """
    if data.entity and data.timestamp:
        return [*data.entity, data.timestamp]
    return [name for name in names if name != data.target]


def fingerprint_rows(columns: Mapping[str, np.ndarray]) -> Fingerprints:
    """Hash each row of *columns*, in whatever order these stand.

    Returns:
        Sorted, shape [n]; good for telling rows apart, not for secrets.
    """
    from pandas.util import hash_array

    mixed = np.zeros(len(next(iter(columns.values()))), dtype=np.uint64)
    for name in sorted(columns):
        mixed = mixed * _MIX + hash_array(_canonical(columns[name]))
    return np.sort(mixed)


def _canonical(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]").astype(np.int64)
    if values.dtype.kind in "biuf":
        # A column that has lost its last missing value turns from numbers with a point into whole ones.
        return values.astype(np.float64) + 0.0
    return np.array([str(value) for value in values], dtype=object)


def keep_fingerprints(store: Store, prints: Fingerprints) -> str:
    """Keep the fingerprints of held-out rows; gives their digest.

    Raises:
        StorageError: The store can't be written.
    """
    data = prints.astype("<u8").tobytes()
    digest = hashlib.sha256(data).hexdigest()
    store.put_if_absent(_key(digest), data)
    return digest


def are_same_rows(store: Store, digest: str, earlier: str) -> bool:
    """Say whether more than half of the held-out rows of *digest* were part of those of *earlier*."""
    if digest == earlier:
        return True
    data = store.get(_key(digest))
    return data is not None and _overlap(store, np.frombuffer(data, dtype="<u8"), earlier) > SAME_SHARE


def _overlap(store: Store, ours: Fingerprints, digest: str) -> float:
    """Give the share of our rows that *digest*'s hold-out has; one whose fingerprints are gone has none."""
    data = store.get(_key(digest))
    if data is None:
        return 0.0
    return float(np.isin(ours, np.frombuffer(data, dtype="<u8")).mean())


def _key(digest: str) -> str:
    return f"holdouts/{digest}"
