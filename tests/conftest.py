"""Owns the walls around the tests: no file in the user's home, no call home, no process left behind."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings as hypothesis_settings

# Every process that a test starts inherits this; it is how those left behind are told from other people's.
SESSION_VARIABLE = "EVERTRAIN_TEST_SESSION"
ROOT = pytest.StashKey[Path]()
LEFT_BEHIND = pytest.StashKey[list[str]]()
GRACE_SECONDS = 10
FORGOTTEN = ("CI", "PORT", "PYTHONUNBUFFERED")
OURS = ("EVERTRAIN_", "MLFLOW_", "PREFECT_", "AWS_", "GITHUB_")


def pytest_configure(config: pytest.Config) -> None:
    """Wall the session in before any library is imported; xdist's workers inherit the controller's walls."""
    if not is_worker(config):
        config.stash[ROOT] = Path(tempfile.mkdtemp(prefix="evertrain-tests-"))
        config.stash[LEFT_BEHIND] = []
        wall_in(config.stash[ROOT])
    # A deadline measures the neighbours' load; and whether a change passes is no matter of luck.
    hypothesis_settings.register_profile("evertrain", deadline=None, derandomize=True)
    hypothesis_settings.load_profile("evertrain")


def is_worker(config: pytest.Config) -> bool:
    """Whether this is a process that xdist started."""
    return hasattr(config, "workerinput")


def wall_in(root: Path) -> None:
    """Point every home at *root* and forget what the caller's environment says about our vendors."""
    # A caller's PYTHONUNBUFFERED would hide output that a child never flushes.
    for name in [name for name in os.environ if name.startswith(OURS) or name in FORGOTTEN]:
        del os.environ[name]
    home = root / "home"
    home.mkdir()
    os.environ.update(
        {
            SESSION_VARIABLE: secrets.token_hex(8),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "EVERTRAIN_HOME": str(root / "evertrain"),
            "PREFECT_HOME": str(root / "prefect"),
            "MPLCONFIGDIR": str(root / "matplotlib"),
            # pytest's own temporary folders: what lies under the root goes with it.
            "PYTEST_DEBUG_TEMPROOT": str(root),
            # xdist's workers outnumber the cores: threads that spin while they wait cost tenfold.
            "OMP_WAIT_POLICY": "PASSIVE",
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
    )


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """After xdist's workers have ended: end whatever tests left running, and fail the run for it."""
    yield
    if is_worker(session.config):
        return
    root = session.config.stash[ROOT]
    left = end_processes(os.environ[SESSION_VARIABLE], root)
    session.config.stash[LEFT_BEHIND] = left
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        shutil.rmtree(root, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the processes that were left behind, and where a failed run can be looked at."""
    left = config.stash.get(LEFT_BEHIND, [])
    if left:
        terminalreporter.section("processes left behind (ended now; the run fails for them)", red=True)
        for line in left:
            terminalreporter.line(line)
    if ROOT in config.stash and config.stash[ROOT].exists():
        terminalreporter.line(f"What the tests wrote is kept in {config.stash[ROOT]}")


def end_processes(session: str, root: Path) -> list[str]:
    """End the processes of *session* that don't end by themselves within the grace; say which."""
    _, alive = psutil.wait_procs(find_processes(session, root), timeout=GRACE_SECONDS)
    described = [describe(process) for process in alive]
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)
    return described


def find_processes(session: str, root: Path) -> list[psutil.Process]:
    """Find what tests started: it bears *session* or *root*; see ``bears``."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in ours and bears(process, session, root)
    ]


def bears(process: psutil.Process, session: str, root: Path) -> bool:
    """Whether *process* was started by a test of this session, whatever environment the test gave it."""
    try:
        environment = process.environ()
        words = [*process.cmdline(), *environment.values()]
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
    return environment.get(SESSION_VARIABLE) == session or any(str(root) in word for word in words)


def describe(process: psutil.Process) -> str:
    """Say which process it is, for the closing summary."""
    try:
        return f"pid {process.pid}: {' '.join(process.cmdline())[:300]}"
    except psutil.NoSuchProcess:
        return f"pid {process.pid}: ended meanwhile"
