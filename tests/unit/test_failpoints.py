from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from evertrain.failpoints import VARIABLE, failpoint

PROGRAM = """
from evertrain.failpoints import failpoint
for name in ("other", "here", "here"):
    failpoint(name)
    print(name, flush=True)
"""


@pytest.mark.parametrize(
    ("wanted", "printed"),
    [("here", ["other"]), ("here:2", ["other", "here"]), ("other:1", [])],
)
def test_a_process_dies_where_the_environment_asks_for_it(wanted: str, printed: list[str]) -> None:
    """The named place kills at the passage asked for, before anything else runs."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, VARIABLE: wanted},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == printed


def test_nothing_happens_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable, or at another place, a failpoint does nothing."""
    monkeypatch.delenv(VARIABLE, raising=False)
    failpoint("here")
    monkeypatch.setenv(VARIABLE, "there")
    failpoint("here")
    monkeypatch.setenv(VARIABLE, "unit-test-only:99")
    failpoint("unit-test-only")
