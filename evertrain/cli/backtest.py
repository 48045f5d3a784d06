"""Owns the command ``backtest``."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import Output, command

if TYPE_CHECKING:
    from evertrain.backtest_records import BacktestOutcome

EXAMPLES = """Examples:

  evertrain backtest configs/flights.yaml --from 2013-05-01 --to 2014-01-01 --every 30d

  evertrain backtest configs/flights.yaml --from 2013-05-01 --to 2014-01-01 --every month \\
    --sweep drift.regret.min_gain=0.005,0.01,0.02
"""
DASK = "DASK_ADDRESS"


def backtest(
    config: Annotated[str, typer.Argument(help="The pipeline's YAML.", show_default=False)],
    since: Annotated[str, typer.Option("--from", help="The first champion sees what came up to here.")],
    until: Annotated[str, typer.Option("--to", help="Where the replay ends.")],
    every: Annotated[str, typer.Option(help="How long a period is: 30d, or month.")] = "30d",
    sweep: Annotated[
        list[str] | None,
        typer.Option(metavar="A.B=1,2,3", help="Replay the policy with each of these values, too."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Replay history: what would never, always or this policy have come to?

    Registers, promotes and tells nothing. What was worked out once is kept: a run that was cut off goes on
    where it stopped. With DASK_ADDRESS set, a Dask cluster does the work.

    Exit codes: 0 done, 2 config, 3 data refused, 4 training, 5 a service or the disk.
    """
    with command(wants_json=json) as output:
        outcome = run(config, since, until, every, tuple(sweep or ()))
        report(outcome, output)


def run(config: str, since: str, until: str, every: str, sweeps: tuple[str, ...]) -> BacktestOutcome:
    """Check all that was asked, then replay with processes of this machine, or on a Dask cluster."""
    from evertrain.backtest.running import Request, plan_backtest
    from evertrain.pipelines import config_path
    from evertrain.settings import read_settings

    settings = read_settings()
    request = Request(
        config_path(config), _read_time(since, "--from"), _read_time(until, "--to"), every, sweeps
    )
    plan = plan_backtest(request, settings)
    address = os.environ.get(DASK)
    if address:
        from flows.launch import run_backtest_on_dask

        return run_backtest_on_dask(request, settings, address)
    from evertrain.backtest import count_cores
    from evertrain.backtest.processes import Processes
    from evertrain.backtest.running import run_backtest
    from evertrain.cli.backtest_view import showing_pieces
    from evertrain.storage import open_store

    store = open_store(settings.store)
    with (
        showing_pieces() as tell,
        Processes(store, settings, count_cores(), plan.patience_seconds) as makers,
    ):
        return run_backtest(plan, store, makers, tell)


def report(outcome: BacktestOutcome, output: Output) -> None:
    """Print the outcome for a person and a program."""
    from evertrain.cli.backtest_view import show_backtest

    output.answer(outcome.model_dump(mode="json", by_alias=True))
    if not output.wants_json:
        show_backtest(outcome, output.console)


def _read_time(text: str, option: str) -> datetime:
    from evertrain.errors import ConfigError
    from evertrain.pipelines import parse_as_of

    try:
        time = parse_as_of(text)
    except ConfigError as error:
        raise ConfigError(error.message.replace("--as-of", option, 1)) from error
    assert time is not None
    return time
