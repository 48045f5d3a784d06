"""Tests of how many threads a fit may use."""

from __future__ import annotations

import pytest
from threadpoolctl import ThreadpoolController

from evertrain.training.threads import CELLS_PER_THREAD, threads_for


@pytest.fixture
def openmp():
    """OpenMP's pools, allowed three threads."""
    import sklearn.ensemble  # noqa: F401 - it brings one

    pools = ThreadpoolController().select(user_api="openmp")
    with pools.limit(limits=3):
        yield lambda: {pool["num_threads"] for pool in pools.info()}


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (50_000, 7, 1),
        (0, 0, 1),
        (CELLS_PER_THREAD, 2, 2),
        (CELLS_PER_THREAD, 50, 3),
    ],
    ids=["few rows", "none", "two threads' worth", "what is allowed stays the most"],
)
def test_a_fit_gets_as_many_threads_as_its_rows_keep_busy(openmp, rows, columns, expected):
    """A thread for each 2.5 million cells, at least one, and never more than were allowed before."""
    with threads_for(rows, columns):
        assert openmp() == {expected}

    assert openmp() == {3}
