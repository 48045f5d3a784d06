"""Owns running a flow from this process: the embedded server starts while the heavy libraries are imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from evertrain.progress import step
from evertrain.records import TrainOutcome, Trigger
from evertrain.settings import Settings
from flows.local_server import LocalServer, prefect_api

HEAVY = ("pandas", "sklearn.pipeline", "duckdb", "pyarrow.parquet", "mlflow")
"""Imported while the embedded server starts on the other core."""


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
        ServiceError: No Prefect server could be had.
    """
    with prefect_api(settings) as server:
        training_flow = load_training_flow(server)
        return training_flow(config, as_of=as_of, trigger=trigger, overrides=list(overrides))


def load_training_flow(server: LocalServer | None) -> Callable[..., TrainOutcome]:
    """Import the flow and what its steps need, then wait for the embedded server."""
    with step("start", {}):
        for module in HEAVY:
            importlib.import_module(module)
        from flows.training import training_flow

        if server is not None:
            server.wait_until_ready()
    return training_flow
