"""Owns the command ``approve``."""

from __future__ import annotations

from typing import Annotated

import typer

from evertrain.cli.console import command

EXAMPLES = """Example:

  evertrain approve flights 4 --reason "looked at the report, fine for Newark too"
"""


def approve(
    name: Annotated[str, typer.Argument(help="The pipeline's name.", show_default=False)],
    version: Annotated[int, typer.Argument(help="The version that awaits approval.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Approve a version that passed its gates: it is promoted, or its rollout begins.

    Exit codes: 0 done, 2 no such version, 5 a service or the disk, 11 someone else moved first.
    """
    with command(wants_json=json) as output:
        from evertrain.rollout.walk import approve_version
        from evertrain.settings import read_settings

        settings = read_settings()
        entry, state = approve_version(name, version, settings, reason)
        promoted = entry.kind == "promoted"
        decision = "promoted" if promoted else "rollout"
        output.answer(
            {"pipeline": name, "decision": decision, "version": version, "generation": state.generation}
        )
        if output.wants_json:
            return
        told = "serves now" if promoted else f"is being rolled out: evertrain rollout run {name}"
        output.console.print(f"[bold]{name}[/] version [bold]{version}[/] is approved and {told}.")
