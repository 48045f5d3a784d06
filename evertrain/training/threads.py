"""Owns how many threads one fit may use: never more than its rows give work to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

CELLS_PER_THREAD = 2_500_000
"""With fewer, OpenMP's threads wait for each other longer than they work: boosting 50,000 rows of 7 features
is faster on one core than on two, and seven times as fast where anything else runs."""


@contextmanager
def threads_for(rows: int, columns: int) -> Iterator[None]:
    """Limit OpenMP for the block to a thread for each 2.5 million cells; what is set lower stays so."""
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().select(user_api="openmp")
    wanted = max(1, rows * columns // CELLS_PER_THREAD)
    allowed = min((pool["num_threads"] for pool in pools.info()), default=wanted)
    with pools.limit(limits=min(wanted, allowed)):
        yield
