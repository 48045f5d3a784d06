from __future__ import annotations

import subprocess
import sys
import time

import psutil

CHILD = "import os, time\nfrom evertrain.orphans import end_with_parent\nend_with_parent(os.getppid())\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SLEEP = "print(os.getpid(), flush=True)\ntime.sleep(60)\n"


def orphan(code: str) -> psutil.Process:
    """Start *code* as a grandchild and kill its parent with kill -9."""
    starter = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {code!r}]).wait()\n"
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    return child


def test_a_child_ends_when_its_parent_is_killed() -> None:
    """Nothing outlives a kill -9 of the command that started it."""
    _, alive = psutil.wait_procs([orphan(CHILD + SLEEP)], timeout=20)

    assert alive == []


def test_a_child_that_does_not_heed_the_signal_ends_too() -> None:
    """Two seconds after the terminate signal the process ends whatever it does."""
    started = time.monotonic()

    _, alive = psutil.wait_procs([orphan(STUBBORN + CHILD + SLEEP)], timeout=30)

    assert alive == []
    assert time.monotonic() - started >= 2
