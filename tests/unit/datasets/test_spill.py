"""Where rows that don't fit into memory go."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from evertrain.datasets.spill import spill_folder
from evertrain.errors import StorageError


def test_the_folder_is_gone_at_the_end(tmp_path):
    """With what was put into it."""
    with spill_folder(tmp_path / "home") as folder:
        (folder / "rows").write_text("x")
        assert folder.parent == tmp_path / "home" / "spill"

    assert list((tmp_path / "home" / "spill").iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path):
    """Folders of living processes, and what isn't ours, stay."""
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    for name in (f"{int(done.stdout)}-dead", f"{os.getppid()}-alive", "other"):
        (tmp_path / "spill" / name).mkdir(parents=True)

    with spill_folder(tmp_path):
        pass

    assert {each.name for each in (tmp_path / "spill").iterdir()} == {f"{os.getppid()}-alive", "other"}


def test_a_home_that_can_not_be_written_is_named(tmp_path):
    """With the setting that moves it."""
    (tmp_path / "spill").write_text("no folder")

    with pytest.raises(StorageError, match=r"spill.*Set EVERTRAIN_HOME"), spill_folder(tmp_path):
        pass
