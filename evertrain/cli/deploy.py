"""Owns the command ``deploy``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import command, program

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from flows.deploying import Deployed, DeployedFlow

EXAMPLES = """Examples:

  evertrain deploy

  evertrain deploy configs/flights.yaml

  evertrain deploy --pool trainers --image registry.example.org/evertrain-flows:0.1
"""
NAMED_REMOVALS = 10


def deploy(
    configs: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONFIG", help="YAMLs, or folders of them.", show_default="configs"),
    ] = None,
    pool: Annotated[
        str | None, typer.Option(metavar="NAME", help="The work pool that runs them, not `evertrain up`.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the pool's containers are made of.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Register each pipeline's training and drift check with Prefect: schedules, forms, descriptions.

    Run it again after each change. What is so already isn't touched; what was paused by hand stays paused;
    of a whole folder, pipelines whose YAML is gone are un-deployed.

    Exit codes: 0 done, 2 a YAML is wrong (nothing is deployed then), 5 the Prefect server.
    """
    with command(wants_json=json) as output:
        from evertrain.settings import read_settings
        from flows.deploying import DEFAULT, deploy_pipelines

        deployed = deploy_pipelines(tuple(configs or DEFAULT), read_settings(), pool=pool, image=image)
        output.answer(deployed.model_dump(mode="json"))
        if not output.wants_json:
            show_deployed(deployed, output.console)


def show_deployed(deployed: Deployed, console: Console) -> None:
    """Print what is registered, when it runs, and where to look."""
    from rich.text import Text

    console.print(deployed_table(deployed))
    for name in deployed.removed[:NAMED_REMOVALS]:
        console.print(f"un-deployed, its YAML is gone: {name}")
    if len(deployed.removed) > NAMED_REMOVALS:
        console.print(f"… and {len(deployed.removed) - NAMED_REMOVALS} more")
    for warning in deployed.warnings:
        console.print(Text.assemble(("! ", "yellow"), warning))
    if deployed.pool is not None:
        console.print(f"A worker runs them: prefect worker start --pool {deployed.pool}")
    else:
        runner = f"`{program()} up`" if deployed.local else f"`{program()} up` or `python -m flows.runner`"
        console.print(f"{runner} runs them; a run is asked for there by a form, too.")
    # The home's own server leaves when nobody needs it.
    if not deployed.local:
        console.print(f"Prefect's pages: {deployed.ui}/deployments")


def deployed_table(deployed: Deployed) -> Table:
    """Lay the flows out as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table("pipeline", "flow", "schedule", "next run", "", box=None, pad_edge=False)
    for item in deployed.flows:
        when = "when asked" if item.schedule is None else f"{item.schedule} ({item.timezone})"
        late = f" + {item.delay_seconds} s" if item.delay_seconds else ""
        table.add_row(Text(item.pipeline), item.flow, when + late, spell_next(item), item.change)
    return table


def spell_next(item: DeployedFlow) -> str:
    """Spell when the flow runs next, in its own time zone."""
    if item.paused:
        return "paused"
    if item.next_run is None:
        return "–"
    return spell_local(item.next_run, item.timezone)


def spell_local(moment: datetime, timezone: str) -> str:
    """Spell a moment to the minute, in *timezone*."""
    from zoneinfo import ZoneInfo

    return f"{moment.astimezone(ZoneInfo(timezone)):%a %Y-%m-%d %H:%M}"
