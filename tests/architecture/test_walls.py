from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

# A process of its own session, as a daemon is: it outlives the test, and pytest holds no handle of it.
LEAVING = """
import subprocess
import time
from pathlib import Path

import psutil

def test_leaves_a_process():
    subprocess.run("sleep 61 >/dev/null 2>&1 & echo $! > pid", shell=True, start_new_session=True, check=True)
    # While the shell's child becomes another program, it has neither words nor variables to be known by.
    left = psutil.Process(int(Path("pid").read_text()))
    while left.cmdline()[:1] != ["sleep"] or not left.environ():
        time.sleep(0.01)
"""
CLEAN = """
import os
from pathlib import Path

def test_is_walled_in():
    assert Path.home().is_relative_to(os.environ["PYTEST_DEBUG_TEMPROOT"])
    assert "MLFLOW_TRACKING_URI" not in os.environ
"""


GROUPED = """
import os
from pathlib import Path

import pytest

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(8))
def test_of_a_group(number):
    with Path("workers").open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""


def run_session(
    folder: Path, repository: Path, source: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest on *source* behind a copy of our walls, with a grace of a second."""
    walls = (repository / "tests" / "conftest.py").read_text("utf-8")
    (folder / "conftest.py").write_text(walls.replace("GRACE_SECONDS = 10", "GRACE_SECONDS = 1"), "utf-8")
    (folder / "test_inner.py").write_text(source, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *options, "."]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "TMPDIR": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "with workers"])
def test_a_process_left_behind_is_named_ended_and_fails_the_run(
    options: tuple[str, ...], repository: Path, tmp_path: Path
) -> None:
    """A test that leaves a process can't pass unseen, whether or not xdist runs it."""
    ran = run_session(tmp_path, repository, LEAVING, *options)

    pid = int((tmp_path / "pid").read_text())
    assert "1 passed" in ran.stdout
    assert f"pid {pid}: sleep 61" in ran.stdout
    assert ran.returncode == 1
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_session_sees_neither_the_users_home_nor_their_servers(repository: Path, tmp_path: Path) -> None:
    """Homes lie under the session's own folder, which goes with it when all passed."""
    ran = run_session(tmp_path, repository, CLEAN)

    assert ran.returncode == 0, ran.stdout
    assert list(tmp_path.glob("evertrain-tests-*")) == []


def test_one_worker_runs_all_of_a_group(repository: Path, tmp_path: Path) -> None:
    """What shares a server, or goes on from the test before, is never dealt out to several workers."""
    ran = run_session(tmp_path, repository, GROUPED, "-n", "2", "--dist", "loadgroup")

    workers = (tmp_path / "workers").read_text().split()
    assert ran.returncode == 0, ran.stdout
    assert len(workers) == 8
    assert len(set(workers)) == 1
