"""Owns the zygote: a process that only imports, and is forked once for each flow run that it is told of.

A line of JSON in is a flow run to start, a line out says what became of it. Nothing here may fit, open a
database or an HTTP client, call a flow or start a thread: what isn't there can't be broken by a fork.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import importlib
import json
import os
import random
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from evertrain.errors import ServiceError
from evertrain.failpoints import failpoint
from evertrain.mlflow_client import import_mlflow
from evertrain.quiet import quiet
from evertrain.runs import code_digest
from evertrain.validation import import_great_expectations
from flows.runner.run_one import be_run, end_with_line

MODULES = (
    "pandas",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "skops.io",
    "onnxruntime",
    "skl2onnx",
    "duckdb",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    # What MLflow imports at its first call, its database's migrations included.
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "alembic.command",
    "evidently",
    "flows.training",
    "flows.drift_check",
    "flows.batch_scoring",
    "flows.rollout",
    # A deployment names the folder to work in as a step to pull.
    "prefect.deployments.steps.core",
    "prefect.deployments.steps.pull",
)
_READ_BYTES = 1 << 16


class Zygote:
    """Starts what it is asked for on *questions*, tells what became of it on *answers*."""

    def __init__(self, questions: int, answers: int, lifeline: int) -> None:
        self._questions = questions
        self._answers = answers
        self._lifeline = lifeline
        self._asked = b""
        self._children: dict[int, str] = {}
        self._woken, self._waker = os.pipe()

    def serve(self) -> None:
        """Fork a child for each line of *questions*; returns when both they and the children have ended."""
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker)
        watched = [self._questions, self._woken]
        while self._children or self._questions in watched:
            readable, _, _ = select.select(watched, [], [])
            if self._woken in readable:
                os.read(self._woken, _READ_BYTES)
                self._reap()
            if self._questions in readable and not self._read():
                watched.remove(self._questions)

    def say(self, **facts: object) -> None:
        """Tell the runner; where it is gone, its lifeline says so to the children."""
        try:
            # Short enough for a pipe to take it in one piece, whoever else writes.
            os.write(self._answers, json.dumps(facts).encode() + b"\n")
        except BrokenPipeError:
            return

    def _read(self) -> bool:
        piece = os.read(self._questions, _READ_BYTES)
        *lines, self._asked = (self._asked + piece).split(b"\n")
        for line in lines:
            self._fork(json.loads(line))
        return bool(piece)

    def _fork(self, asked: dict[str, Any]) -> None:
        try:
            with warnings.catch_warnings():
                # BLAS has threads, which end in the child and are started anew at its first use.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError as cause:
            self.say(refused=asked["run"], why=str(cause))
            return
        if pid == 0:
            self._be_child(asked)
        self._children[pid] = asked["run"]
        self.say(forked=asked["run"], pid=pid)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            run = self._children.pop(pid)
            self.say(ended=run, status=os.waitstatus_to_exitcode(status))

    def _be_child(self, asked: dict[str, Any]) -> NoReturn:
        try:
            # First of all: whatever keeps this process still from here on, it ends with the runner.
            end_with_line(self._lifeline)
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for descriptor in (self._woken, self._waker):
                os.close(descriptor)
            speak_into(Path(asked["folder"]) / "words")
            os.environ.update(asked["environment"])
            begin_anew()

            def say_started() -> None:
                self.say(started=asked["run"])
                os.close(self._answers)

            failpoint("forked-run")
            be_run(UUID(asked["run"]), say_started, around=workers_beside())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)


def speak_into(words: Path) -> None:
    """Have what this process prints go to the file *words*, and let it read nothing."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(words, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for opened, standard in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(opened, standard)
    for opened in (nothing, said):
        os.close(opened)


def begin_anew() -> None:
    """Give a forked process what is its own: random numbers, a temporary folder, Prefect's settings."""
    from flows.local_server import read_settings_again

    random.seed()
    sys.modules["numpy"].random.seed()
    tempfile.tempdir = None
    # A library makes one at its import; forked processes would share what it waits on.
    asyncio.set_event_loop(None)
    read_settings_again()
    gc.enable()


@contextmanager
def workers_beside() -> Iterator[None]:
    """Fork who judges the rows and who writes the run down: they work on the second core, if there is one.

    Here, where no thread holds a lock; what they do in vain for a run that needs neither is to begin. Where
    they can't be forked, the run does their work itself.
    """
    from flows.registrars import registrar_forked
    from flows.validators import validator_forked

    with ExitStack() as stack:
        if len(os.sched_getaffinity(0)) > 1:
            with suppress(ServiceError):
                stack.enter_context(validator_forked())
                stack.enter_context(registrar_forked())
        yield


def import_everything() -> None:
    """Import what a flow run needs, once for all."""
    import_mlflow()
    import_great_expectations()
    with quiet():
        for module in MODULES:
            importlib.import_module(module)
    # Kept by the function: it reads the sources as they are now, which is what was imported.
    code_digest()


@contextmanager
def ended_by_input(questions: int) -> Iterator[None]:
    """End this process at once if *questions* come to their end within the block.

    By a signal, where the system has it for pipes: a thread that watches would be there at the first fork.
    """
    before = fcntl.fcntl(questions, fcntl.F_GETFL)
    fcntl.fcntl(questions, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(questions, fcntl.F_SETFL, before | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(questions, fcntl.F_SETFL, before)


def main(lifeline: int) -> None:
    """Run as ``python -m flows.runner.zygote LIFELINE``: asked on its input, it answers on its output."""
    began = time.perf_counter()
    os.set_inheritable(lifeline, False)
    # A Ctrl-C in the terminal is the runner's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.dup(1)
    os.dup2(2, 1)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # What the collector never looks at isn't copied by a child that collects.
    gc.disable()
    with ended_by_input(0):
        import_everything()
    threads = [thread.name for thread in threading.enumerate()]
    if len(threads) > 1:
        # A lock that one of them holds would be held for ever in each child.
        raise SystemExit(f"a library starts threads when it is imported: {', '.join(threads[1:])}")
    gc.freeze()
    zygote = Zygote(0, answers, lifeline)
    zygote.say(ready=True, seconds=round(time.perf_counter() - began, 2))
    zygote.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
