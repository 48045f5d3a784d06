"""Owns the command ``up``."""

from __future__ import annotations

from typing import Annotated

import typer

from evertrain.cli.console import command

EXAMPLES = """Examples:

  evertrain up

  evertrain up --prefect-port 4300 --mlflow-port 5300 --port 8300

  PREFECT_API_URL=https://prefect.example.org/api evertrain up --no-mlflow
"""

Port = typer.Option(min=1, max=65535, show_default=True)


def up(
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Prefect's pages.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of MLflow's pages.")] = 5000,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of the inference service; default: PORT, else 8080."),
    ] = None,
    no_mlflow: Annotated[bool, typer.Option("--no-mlflow", help="Without MLflow's pages.")] = False,
) -> None:
    """Run everything on this machine, in one terminal, until Ctrl-C.

    Prefect's server and pages, the pipelines of configs/*.yaml with their schedules, what runs them when
    they are due, MLflow's pages, and the inference service. With PREFECT_API_URL or MLFLOW_TRACKING_URI set,
    those servers are used and none is started. What is kept stays in EVERTRAIN_HOME.

    Exit codes: 0 ended by Ctrl-C, 2 an option is wrong, 5 a port is taken, another `up` of this home runs, or
    a part can't be kept running.
    """
    with command(wants_json=False) as output:
        from evertrain.cli.up_view import show_line, show_standing
        from evertrain.settings import read_settings
        from flows.up.everything import Ports, run_everything

        settings = read_settings()
        service_port = settings.port if port is None else port
        ports = Ports(prefect_port, None if no_mlflow else mlflow_port, service_port)
        console = output.console
        run_everything(
            settings,
            ports,
            say=lambda part, text: show_line(console, part, text),
            show=lambda standing: show_standing(console, settings, standing),
        )
        show_line(console, "up", "all has ended")
