"""Owns how ``up`` looks: one log of all parts, and the page that says where everything is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from evertrain.cli.deploy import deployed_table

if TYPE_CHECKING:
    from rich.console import Console

    from evertrain.settings import Settings
    from flows.up.everything import Standing

COLOURS = {"prefect": "blue", "mlflow": "magenta", "service": "green", "runner": "cyan"}
WIDTH = 8
HINTS = {
    "Prefect": "flows: runs, schedules, a form to start one",
    "MLflow": "models: versions, metrics, reports",
    "service": "answers: /docs, /health/ready",
}


def show_line(console: Console, part: str, text: str) -> None:
    """Print what a part says: the time, the part, its words."""
    now = f"{datetime.now().astimezone():%H:%M:%S}"
    console.print(Text.assemble((now, "dim"), " ", (f"{part:<{WIDTH}}", COLOURS.get(part, "bold")), text))


def show_addresses(console: Console, settings: Settings, standing: Standing) -> None:
    """Print where everything is; none is broken over lines, so that it can be copied."""
    rows = [(name, address, HINTS.get(name, "")) for name, address in standing.addresses.items()]
    rows.append(("home", str(settings.home), "all that is kept"))
    width = max(len(address) for _, address, _ in rows)
    for name, address, hint in rows:
        console.print(Text.assemble((f"{name:<{WIDTH}} ", "bold"), f"{address:<{width}}  ", (hint, "dim")))


def show_standing(console: Console, settings: Settings, standing: Standing) -> None:
    """Print where everything is, what is deployed, and how to end it."""
    console.print()
    show_addresses(console, settings, standing)
    console.print()
    deployed = standing.deployed
    if deployed is not None and deployed.flows:
        console.print(deployed_table(deployed))
    elif deployed is None or not deployed.refused:
        console.print("No pipeline yet: `evertrain init DATA --target COLUMN` writes configs/NAME.yaml.")
    for refused in deployed.refused if deployed else ():
        console.print(Text.assemble(("! not deployed: ", "yellow"), refused.message))
    for warning in deployed.warnings if deployed else ():
        console.print(Text.assemble(("! ", "yellow"), warning))
    console.print()
    console.print(Text("Ctrl-C ends all of it. What follows is the log of all parts.", "dim"))
    console.print()
