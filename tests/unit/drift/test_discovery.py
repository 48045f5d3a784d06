"""Tests of what a column's chance must be among those of the others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evertrain.drift.discovery import find_cutoffs

CHANCES = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.001, 0.004, 1.0])), max_size=12)


def step_up(chances: np.ndarray, level: float) -> np.ndarray:
    """Benjamini and Hochberg as it stands in the paper: which are rejected."""
    ranked = np.sort(chances)
    reached = [rank for rank, chance in enumerate(ranked, 1) if chance <= level * rank / len(chances)]
    return chances <= (level * reached[-1] / len(chances) if reached else -1.0)


@given(CHANCES, st.sampled_from([0.005, 0.05, 0.5]))
def test_a_column_is_within_its_cutoff_if_and_only_if_the_step_up_rejects_it(
    chances: list[float], level: float
) -> None:
    """Whatever the chances, ties and certainties among them."""
    found = np.array(chances)
    assert np.array_equal(found <= find_cutoffs(found, level), step_up(found, level))


def test_a_lone_column_must_be_rarer_than_one_among_many_that_moved() -> None:
    """Of twenty columns alone a twentieth of the level; beside nineteen that surely moved the whole."""
    still, moved = np.ones(20), np.zeros(20)
    moved[0] = 1.0
    assert find_cutoffs(still, 0.01)[0] == 0.01 / 20
    assert find_cutoffs(moved, 0.01)[0] == 0.01
    assert len(find_cutoffs(np.array([]))) == 0
