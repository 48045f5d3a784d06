"""Owns the flow ``backtest``: its pieces are done by processes here, or as tasks on a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.futures import as_completed

from evertrain.backtest import Progress, count_cores
from evertrain.backtest.pieces import MADE, Made, Piece
from evertrain.backtest.processes import Processes
from evertrain.backtest.running import Request, plan_backtest, run_backtest
from evertrain.backtest_records import BacktestOutcome
from evertrain.errors import ConfigError
from evertrain.pipelines import config_path
from evertrain.progress import STEPS
from evertrain.settings import Settings, dump_settings, read_settings
from evertrain.storage import Store, open_store
from flows.run_log import tell_in_words
from tasks.backtest import piece_task

if TYPE_CHECKING:
    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

DASK = "DASK_ADDRESS"


class Cluster:
    """The workers of the flow's task runner; see ``evertrain.backtest.Makers``.

    Args:
        store: Where pieces are kept: the workers reach it by the same address.
        settings: What they are allowed.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def make_all(self, pieces: Sequence[Piece]) -> Iterator[tuple[int, Made]]:
        """See ``Makers``."""
        spelled = dump_settings(self._settings)
        places = {
            piece_task.submit(
                {"piece": piece.model_dump(mode="json"), "store": self._store.where, "settings": spelled}
            ): place
            for place, piece in enumerate(pieces)
        }
        for future in as_completed(list(places)):
            place = places[future]
            yield place, MADE[pieces[place].kind].model_validate(future.result())


@flow(name="backtest", flow_run_name="{config} {since} to {until}", persist_result=False)
def backtest_flow(
    config: str,
    since: datetime,
    until: datetime,
    every: str = "30d",
    sweeps: list[str] | None = None,
) -> BacktestOutcome:
    """Replay a pipeline's history: what would never, always or its policy have come to?

    Args:
        config: The pipeline's YAML, or its name under ``configs/``.
        since: The first champion sees what came up to here; UTC without a zone.
        until: Where the replay ends.
        every: How long a period is: ``30d``, or ``month``.
        sweeps: Values that the policy is replayed with, too: ``drift.regret.min_gain=0.005,0.01``.
    """
    tell_in_words()
    settings = read_settings()
    times = [each.replace(tzinfo=UTC) if each.tzinfo is None else each for each in (since, until)]
    request = Request(config_path(config), times[0], times[1], every, tuple(sweeps or ()))
    plan = plan_backtest(request, settings)
    store = open_store(settings.store)
    with ExitStack() as stack:
        if os.environ.get(DASK):
            makers: Cluster | Processes = Cluster(store, settings)
        else:
            here = Processes(store, settings, count_cores(), plan.patience_seconds)
            makers = stack.enter_context(here)
        return run_backtest(plan, store, makers, log_progress)


def log_progress(progress: Progress) -> None:
    """Say in the run's log how far a stage is, at its start and end."""
    if progress.done in (0, progress.known):
        STEPS.info("%s: %d of %d pieces", progress.what, progress.done, progress.known)


def dask_runner(address: str) -> TaskRunner[PrefectFuture[Any]]:
    """Give the task runner that runs tasks on the Dask cluster at *address*.

    Raises:
        ConfigError: prefect-dask isn't installed.
    """
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as cause:
        raise ConfigError(
            f"{DASK} is set, but prefect-dask isn't installed; install evertrain[dask], or unset it."
        ) from cause
    runner: TaskRunner[PrefectFuture[Any]] = DaskTaskRunner(address=address)
    return runner
