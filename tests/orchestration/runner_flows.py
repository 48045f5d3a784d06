"""Owns small flows for the tests of the runner, which load them as a deployment's module."""

import json
import os
import signal
import time
from pathlib import Path

from prefect import flow


@flow(name="runner-test", flow_run_name="a word", persist_result=False)
def leave_word(file: str, seconds: float = 0.0) -> None:
    """Write who runs this, then take a while."""
    word = Path(file)
    word.with_suffix(".part").write_text(json.dumps({"pid": os.getpid(), "parent": os.getppid()}))
    word.with_suffix(".part").rename(word)
    time.sleep(seconds)


@flow(name="runner-test-killed", persist_result=False)
def be_killed() -> None:
    """End as a process that the system takes the memory from."""
    os.kill(os.getpid(), signal.SIGKILL)
