from __future__ import annotations

import numpy as np
import pytest

from evertrain.config import DataConfig
from evertrain.holdouts import (
    LONGEST_LOOK_BACK,
    are_same_rows,
    fingerprint_rows,
    identity_columns,
    keep_fingerprints,
    take_look,
)
from evertrain.release.lifecycle import PipelineState, VersionState
from evertrain.storage import open_store

NAMES = ["carrier", "time", "distance", "late"]


def make_data(**changes):
    return DataConfig.model_validate(
        {"source": {"type": "files", "uri": "x.csv"}, "target": "late", **changes}
    )


def version(number, holdout, look=1):
    return VersionState(number, f"key-{number}", "r", "b", "s", "c", "x", look=look, holdout=holdout)


def state_of(*versions):
    return PipelineState(versions={each.version: each for each in versions})


def rows(start, stop):
    return {"id": np.arange(start, stop)}


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path))


def test_the_first_challenger_on_rows_takes_look_one(store):
    """A hold-out that no challenger was judged on is new, whoever else saw it."""
    look = take_look(store, state_of(version(1, None, None)), "mine", rows(0, 100))
    assert look.number == 1
    assert len(look.holdout) == 64


def test_looks_at_the_same_rows_are_counted(store):
    """The third challenger on the same rows is number three; its own earlier try doesn't count."""
    holdout = take_look(store, PipelineState(), "mine", rows(0, 100)).holdout
    state = state_of(version(1, None, None), version(2, holdout), version(3, holdout, 2))
    assert take_look(store, state, "mine", rows(0, 100)).number == 3


@pytest.mark.parametrize(("shared", "number"), [(0, 1), (50, 1), (51, 2), (99, 2)])
def test_rows_of_which_more_than_half_are_known_are_the_same(store, shared, number):
    """A window that has moved on by less than half is the same hold-out."""
    earlier = take_look(store, PipelineState(), "first", rows(0, 100)).holdout
    state = state_of(version(1, earlier))
    assert take_look(store, state, "mine", rows(100 - shared, 200 - shared)).number == number


@pytest.mark.parametrize(("shared", "same"), [(0, False), (50, False), (51, True), (100, True)])
def test_kept_hold_outs_are_told_alike_by_their_digests(store, shared, same):
    """Two that are in the store are compared without their rows; one that isn't there is like none."""
    kept = keep_fingerprints(store, fingerprint_rows(rows(0, 100)))
    other = keep_fingerprints(store, fingerprint_rows(rows(100 - shared, 200 - shared)))
    assert are_same_rows(store, other, kept) is same
    assert not are_same_rows(store, "0" * 64, kept)
    assert not are_same_rows(store, kept, "0" * 64)


def test_a_run_keeps_the_look_it_registered_with(store):
    """To judge a held version again is no new look at its rows."""
    holdout = take_look(store, PipelineState(), "key-2", rows(0, 100)).holdout
    state = state_of(version(1, holdout), version(2, holdout, 2), version(3, holdout, 3))
    assert take_look(store, state, "key-2", rows(0, 100)).number == 2


def test_fingerprints_that_are_gone_count_no_look(store):
    """Rows of which nothing is known any more can't be told to be the same."""
    assert take_look(store, state_of(version(1, "0" * 64)), "mine", rows(0, 9)).number == 1


def test_the_look_back_is_bounded(store):
    """Of very many versions the newest hundred are asked."""
    holdout = take_look(store, PipelineState(), "mine", rows(0, 9)).holdout
    state = state_of(*(version(number, holdout) for number in range(1, 300)))
    assert take_look(store, state, "mine", rows(0, 9)).number == LONGEST_LOOK_BACK + 1


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"entity": ["carrier"], "timestamp": "time"}, ["carrier", "time"]),
        ({"entity": ["carrier"]}, ["carrier", "time", "distance"]),
        ({"timestamp": "time"}, ["carrier", "time", "distance"]),
        ({}, ["carrier", "time", "distance"]),
    ],
)
def test_rows_are_told_by_entity_and_time_or_by_all_but_the_target(data, names):
    """A corrected label makes no new row, and where events have a name no new column does."""
    assert identity_columns(NAMES, make_data(**data)) == names


def test_fingerprints_depend_neither_on_the_order_of_rows_nor_of_columns():
    """The same rows are the same, however they come."""
    rng = np.random.default_rng(0)
    columns = {
        "number": rng.normal(size=50),
        "text": rng.choice(np.array(["a", "b", None], dtype=object), 50),
        "time": np.datetime64("2024-01-01", "us") + np.arange(50),
        "flag": rng.random(50) < 0.5,
    }
    order = rng.permutation(50)
    turned = {name: columns[name][order] for name in reversed(columns)}
    assert (fingerprint_rows(columns) == fingerprint_rows(turned)).all()


def test_fingerprints_tell_rows_apart():
    """Different rows have different fingerprints, and a value in another column is another row."""
    columns = {"a": np.arange(10_000) % 100, "b": np.arange(10_000) // 100}
    assert np.unique(fingerprint_rows(columns)).size == 10_000
    one, other = ({"a": np.array([1]), "b": np.array([2])}, {"a": np.array([2]), "b": np.array([1])})
    assert fingerprint_rows(one)[0] != fingerprint_rows(other)[0]


def test_whole_numbers_are_the_same_with_and_without_a_point():
    """A column whose other rows have lost their last missing value holds the same numbers."""
    assert (fingerprint_rows({"a": np.array([1, 0])}) == fingerprint_rows({"a": np.array([1.0, -0.0])})).all()
