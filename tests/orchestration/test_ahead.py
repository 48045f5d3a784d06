"""Tests of what is started ahead of the runs that use it."""

from __future__ import annotations

from contextvars import ContextVar

import pytest

from flows.ahead import kept_ahead, kept_or_own


class Worker:
    """Works for one run at a time."""

    def __init__(self, name: str, *, is_free: bool = True) -> None:
        self.name = name
        self.is_free = is_free
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


PLACE: ContextVar[Worker | None] = ContextVar("place", default=None)


def test_runs_share_what_was_started_ahead() -> None:
    """Each run in the block uses the one; it ends with the block, not with a run."""
    ahead = Worker("ahead")
    with kept_ahead(PLACE, ahead):
        for _ in range(2):
            with kept_or_own(PLACE, lambda: Worker("own")) as used:
                assert used is ahead
            assert not ahead.is_closed

    assert ahead.is_closed
    assert PLACE.get() is None


def test_what_was_started_ahead_ends_with_a_block_that_fails() -> None:
    """Nothing is left running behind an error."""
    ahead = Worker("ahead")

    def fail() -> None:
        with kept_ahead(PLACE, ahead):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert ahead.is_closed
    assert PLACE.get() is None


@pytest.mark.parametrize("busy", [Worker("ahead", is_free=False), None])
def test_a_run_has_its_own_where_none_is_free(busy: Worker | None) -> None:
    """One that works for another run, or has died, is left alone; the run's own ends with the run."""
    token = PLACE.set(busy)
    with kept_or_own(PLACE, lambda: Worker("own")) as used:
        assert used.name == "own"
        assert not used.is_closed
    PLACE.reset(token)

    assert used.is_closed
