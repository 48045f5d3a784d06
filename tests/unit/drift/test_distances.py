from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance
from scipy.stats import wasserstein_distance

from evertrain.drift.distances import jensen_shannon, normed_wasserstein

NUMBERS = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6, allow_subnormal=False))
WHOLE = arrays(np.float64, st.integers(1, 40), elements=st.integers(-15, 15))
COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=12)


def by_scipy(reference: np.ndarray, current: np.ndarray) -> float:
    return float(wasserstein_distance(reference, current)) / max(float(np.std(reference)), 0.001)


@given(st.one_of(NUMBERS, WHOLE), st.one_of(NUMBERS, WHOLE))
def test_the_area_between_quantiles_is_scipys_distance(reference: np.ndarray, current: np.ndarray) -> None:
    """Sorted or counted, of equal sizes or not: it is the first Wasserstein distance, over the spread."""
    expected = by_scipy(reference, current)
    assert normed_wasserstein(reference, current) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.one_of(NUMBERS, WHOLE))
def test_the_same_numbers_have_not_moved(values: np.ndarray) -> None:
    """A sample is at distance 0 from itself in any order and any number of times."""
    assert normed_wasserstein(values, values[::-1].copy()) == 0
    assert normed_wasserstein(values, np.tile(values, 3)) == pytest.approx(0, abs=1e-9)


def test_a_shift_is_measured_in_spreads() -> None:
    """Numbers that all move by two standard deviations are at distance 2."""
    values = np.random.default_rng(0).normal(5, 3, 1000)
    assert normed_wasserstein(values, values + 2 * values.std()) == pytest.approx(2)


def test_a_constant_is_measured_in_thousandths() -> None:
    """Where the reference has no spread, Evidently's floor stands for it."""
    assert normed_wasserstein(np.full(3, 7.0), np.full(5, 8.0)) == pytest.approx(1000)


@pytest.mark.parametrize("largest", [1e200, 1.7e308])
def test_numbers_beyond_reckoning_give_no_finite_distance(largest: float) -> None:
    """Squares or differences that overflow are told by infinity or NaN, without a warning."""
    reference, current = np.array([-largest, largest]), np.array([largest, 0.0, 1.0])
    assert not np.isfinite(normed_wasserstein(reference, current))


@given(COUNTS)
def test_the_distance_of_counts_is_scipys(pairs: list[tuple[int, int]]) -> None:
    """The Jensen-Shannon distance of any two counts that aren't empty."""
    reference, current = (np.array(side) for side in zip(*pairs, strict=True))
    if reference.sum() and current.sum():
        expected = float(distance.jensenshannon(reference, current))
        # scipy takes the root of what is left of rounding, or of less than nothing.
        expected = 0.0 if np.isnan(expected) else expected
        assert jensen_shannon(reference, current) == pytest.approx(expected, abs=1e-7)


def test_nothing_in_common_is_the_furthest_there_is() -> None:
    """Counts without a common category are at distance √ln 2, equal shares at 0."""
    assert jensen_shannon(np.array([3, 0]), np.array([0, 9])) == pytest.approx(np.sqrt(np.log(2)))
    assert jensen_shannon(np.array([1, 2]), np.array([10, 20])) == 0
