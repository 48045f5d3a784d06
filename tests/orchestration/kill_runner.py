"""Owns the fork harness: imports everything once, then runs each training in a fork that may be killed."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from evertrain.mlflow_client import import_mlflow
from evertrain.runs import code_digest
from evertrain.settings import read_settings
from flows.launch import training_ready


def run_in_fork(train: Any, order: dict[str, str]) -> int:
    """Train in a child; gives its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            os.chdir(order["folder"])
            os.environ["EVERTRAIN_HOME"] = order["home"]
            os.environ["EVERTRAIN_FAILPOINT"] = order["failpoint"]
            train(order["config"])
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Read one order a line from standard input, answer with one exit code a line."""
    # Once, before the forks: somebody who edits a source meanwhile would make the second try another run.
    code_digest()
    # So that the forks work in MLflow themselves, in no process beside them.
    import_mlflow()
    with training_ready(read_settings()) as train:
        for line in sys.stdin:
            sys.stdout.write(f"{run_in_fork(train, json.loads(line))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
