"""Owns running a flow from this process: the embedded server starts while heavy libraries are imported."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from evertrain.drift_records import DriftOutcome
from evertrain.errors import ServiceError
from evertrain.pipelines import parse_as_of
from evertrain.progress import step
from evertrain.records import TrainOutcome, Trigger
from evertrain.settings import Settings
from flows.heartbeats import without_heartbeats
from flows.local_server import LocalServer, prefect_api, server_must_start
from flows.prefect_faults import prefect_faults_told
from flows.registrars import registrar_ahead

if TYPE_CHECKING:
    from evertrain.backtest.running import Request
    from evertrain.backtest_records import BacktestOutcome

HEAVY = ("pandas", "sklearn.pipeline", "duckdb", "pyarrow.parquet")
"""Imported while the embedded server starts on the other core."""


class TrainingFlow(Protocol):
    """The flow ``training``, with all it needs imported and a Prefect server that answers."""

    def __call__(
        self,
        config: str,
        as_of: datetime | None = None,
        trigger: Trigger = "manual",
        overrides: list[str] | None = None,
    ) -> TrainOutcome:
        """Train one pipeline; see ``flows.training``."""


def run_training(
    config: str,
    settings: Settings,
    *,
    as_of: str | None = None,
    trigger: Trigger = "manual",
    overrides: Sequence[str] = (),
) -> TrainOutcome:
    """Run the flow ``training`` here, with a Prefect server of the user's own or an embedded one.

    Raises:
        EvertrainError: What a step raised; see ``evertrain.errors``.
        ServiceError: No Prefect server could be had, or it failed.
    """
    # A local server that has to start needs the second core more.
    ahead = nullcontext() if server_must_start(settings) else registrar_ahead()
    with ahead, training_ready(settings) as train, prefect_faults_told(settings):
        return train(config, as_of=parse_as_of(as_of), trigger=trigger, overrides=list(overrides))


@contextmanager
def training_ready(settings: Settings, *, stays: bool | None = None) -> Iterator[TrainingFlow]:
    """Have the flow ready to be called, any number of times.

    Args:
        settings: Say where things are.
        stays: Whether a local server that is started here outlives the block; see ``prefect_api``.
    """
    # Before scikit-learn is imported: OpenMP's threads would spin while they wait, and a fit on a busy
    # machine take many times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with prefect_api(settings, stays=stays) as server:
        yield without_heartbeats()(load_training_flow(server))


def load_training_flow(server: LocalServer | None) -> TrainingFlow:
    """Import the flow and what its steps need, then wait for the embedded server."""
    with step("start", {}):
        for module in HEAVY:
            importlib.import_module(module)
        from flows.training import training_flow

        if server is not None:
            server.wait_until_ready()
    return training_flow


def run_drift_check(
    config: str, settings: Settings, *, as_of: str | None = None, may_retrain: bool = True
) -> DriftOutcome:
    """Run the flow ``drift_check`` here, with a Prefect server of the user's own or an embedded one.

    Raises:
        EvertrainError: What a step raised; a retrain that fails is part of the outcome.
        ServiceError: No Prefect server could be had, or it failed.
    """
    with training_ready(settings), prefect_faults_told(settings), without_heartbeats():
        from flows.drift_check import drift_check_flow

        return drift_check_flow(config, as_of=parse_as_of(as_of), retrain=may_retrain)


def run_backtest_on_dask(request: Request, settings: Settings, address: str) -> BacktestOutcome:
    """Run the flow ``backtest`` here, its tasks on the Dask cluster at *address*.

    Raises:
        ConfigError: prefect-dask isn't installed.
        EvertrainError: What a piece raised.
        ServiceError: No Prefect server could be had, or no such cluster.
    """
    with prefect_api(settings) as server, prefect_faults_told(settings), without_heartbeats():
        from flows.backtest import backtest_flow, dask_runner

        if server is not None:
            server.wait_until_ready()
        on_dask = backtest_flow.with_options(task_runner=dask_runner(address))
        try:
            return on_dask(
                str(request.path), request.since, request.until, request.every, list(request.sweeps)
            )
        except OSError as cause:
            raise ServiceError(
                f"The Dask cluster at DASK_ADDRESS={address} can't be used: {cause}. See that its scheduler "
                "runs there, or unset DASK_ADDRESS."
            ) from cause
