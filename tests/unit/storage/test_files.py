from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evertrain.liveness import host_tag
from evertrain.storage.files import (
    LEFTOVER_SECONDS,
    list_files,
    make_folder,
    remove_leftovers,
    temporary_path,
)


def aged(path: Path, seconds: float) -> Path:
    make_folder(path.parent)
    path.touch()
    stamp = path.stat().st_mtime - seconds
    os.utime(path, (stamp, stamp))
    return path


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_leftovers_of_the_dead_and_of_the_past_are_removed(tmp_path: Path) -> None:
    """A temporary file goes if its writer on this host is gone, or if it is over an hour old."""
    dead = aged(tmp_path / f".tmp-{host_tag()}-{dead_pid()}-x", 0)
    old = aged(tmp_path / "deep" / ".tmp-elsewhere-1-x", LEFTOVER_SECONDS + 60)
    odd = aged(tmp_path / ".tmp-nonsense", LEFTOVER_SECONDS + 60)
    young = aged(tmp_path / ".tmp-elsewhere-1-y", 0)
    living = aged(temporary_path(tmp_path), 0)
    kept = aged(tmp_path / "kept", LEFTOVER_SECONDS + 60)
    remove_leftovers(tmp_path)
    assert [path.exists() for path in (dead, old, odd)] == [False] * 3
    assert [path.exists() for path in (young, living, kept)] == [True] * 3
    assert list(list_files(tmp_path)) == [kept]


def test_a_folder_that_another_made_first_is_no_error(tmp_path: Path) -> None:
    """Folders are made with all that is missing above them, and only once."""
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_folder_that_may_not_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that can't be listed raise, since what isn't listed would look deleted."""
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(PermissionError):
        list(list_files(tmp_path))


def refuse(path: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))
