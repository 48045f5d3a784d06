"""Owns one flow run in a process of its own: by its id, with Prefect's engine, and gone with the runner."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from evertrain.forked_process import exit_code_of
from flows.deployments import ENTRYPOINTS, WORKING_FOLDER

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

GRACE_SECONDS = 2.0
TERMINATED = 128 + signal.SIGTERM


def be_run(
    run_id: UUID,
    say_started: Callable[[], None],
    around: AbstractContextManager[object] | None = None,
) -> NoReturn:
    """Be the process of the flow run *run_id*: retries, states and crashes are told as Prefect tells them.

    The interpreter isn't torn down at the end: with all libraries loaded that takes two seconds.

    Args:
        run_id: A flow run of a deployment, in the state Pending.
        say_started: Called when the run and its flow were found, before anything of it is done.
        around: Entered before, and left after all of it.
    """
    signal.signal(signal.SIGTERM, _end_now)

    def work() -> None:
        with around or nullcontext():
            _run_by_engine(run_id, say_started)

    _leave(exit_code_of(work))


def end_with_line(lifeline: int) -> None:
    """End this process when *lifeline*, a pipe that the runner holds open, is closed: kill -9 included."""
    threading.Thread(target=_watch, args=(lifeline,), daemon=True, name="lifeline").start()


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)  # nobody ever writes: it returns at the end
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def _run_by_engine(run_id: UUID, say_started: Callable[[], None]) -> None:
    from prefect.context import SyncClientContext
    from prefect.engine import handle_engine_signals
    from prefect.flow_engine import run_flow
    from prefect.logging.loggers import flow_run_logger

    from flows.heartbeats import without_heartbeats

    # One client for all that follows: to make another takes as long as several calls.
    with handle_engine_signals(run_id), without_heartbeats(), SyncClientContext.get_or_create() as shared:
        run = shared.client.read_flow_run(run_id)
        logger = flow_run_logger(run)
        try:
            flow = load_deployed_flow(shared.client, run)
        except Exception:
            logger.exception("The deployment's flow can't be loaded")
            raise
        say_started()
        run_flow(flow, flow_run=run, error_logger=logger)  # type: ignore[arg-type]  # an adapter, as Prefect passes it


def load_deployed_flow(client: SyncPrefectClient, run: FlowRun) -> Flow[..., Any]:
    """Load the flow of a run's deployment, and go to the folder that it is to work in.

    Where the flow is one of ours and its folder all that there is to prepare, that is all there is to do;
    Prefect's own way, which knows every kind of deployment, takes a quarter of a second.
    """
    from prefect.flow_engine import load_flow

    deployment = client.read_deployment(run.deployment_id) if run.deployment_id else None
    entrypoint = (deployment.entrypoint if deployment else None) or ""
    folder = sole_folder(deployment.pull_steps) if deployment else None
    if folder is None or entrypoint not in ENTRYPOINTS.values():
        return load_flow(run)
    os.chdir(folder)
    module, _, name = entrypoint.rpartition(".")
    flow: Flow[..., Any] = getattr(importlib.import_module(module), name)
    return flow


def sole_folder(steps: Sequence[Mapping[str, Any]] | None) -> str | None:
    """The folder that *steps* set, where they do nothing else; None where they do, or there are none.

    None also where a variable or block stands in its name, ``{{ … }}``: Prefect knows what that is.
    """
    if steps is None or len(steps) != 1 or set(steps[0]) != {WORKING_FOLDER}:
        return None
    facts = steps[0][WORKING_FOLDER]
    return facts["directory"] if set(facts) == {"directory"} and "{{" not in facts["directory"] else None


def _end_now(*_: object) -> None:
    """Prefect's engine has told how the run ended, and raises the signal again: no more is left to do."""
    _leave(TERMINATED)


def _leave(code: int) -> NoReturn:
    from flows.local_server import flush_prefect

    flush_prefect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(run_id: str, lifeline: str) -> None:
    """Run as ``python -m flows.runner.run_one RUN_ID LIFELINE``."""
    # Before scikit-learn is imported: OpenMP's threads would spin while they wait.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    end_with_line(int(lifeline))
    be_run(UUID(run_id), lambda: None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
