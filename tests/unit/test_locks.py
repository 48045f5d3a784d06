from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from evertrain.locks import locked


def is_free(path: Path) -> bool:
    """Whether somebody else could take *path*'s lock right now."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def holds_alone(path: Path) -> bool:
    """Whether not even a reader's lock can be had beside it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_lock_is_held_alone_while_the_block_runs(tmp_path: Path) -> None:
    """Nobody else gets in, and its folder is made."""
    path = tmp_path / "new" / "lock"

    with locked(path):
        assert holds_alone(path)

    assert is_free(path)


def test_a_lock_is_given_back_when_the_block_fails(tmp_path: Path) -> None:
    """An error keeps nobody waiting."""
    path = tmp_path / "lock"

    with pytest.raises(ValueError, match="planted"), locked(path):
        raise ValueError("planted")

    assert is_free(path)
