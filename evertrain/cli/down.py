"""Owns the command ``down``."""

from __future__ import annotations

from typing import Annotated

import typer

from evertrain.cli.console import command

EXAMPLES = """Examples:

  evertrain down

  EVERTRAIN_HOME=/srv/evertrain evertrain down --json
"""


def down(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """End this home's local Prefect server, and an `evertrain up` of it that runs; waits until they are gone.

    Exit codes: 0 ended, or there was nothing to end, 5 something doesn't end.
    """
    with command(wants_json=json) as output:
        from evertrain.settings import read_settings
        from flows.ending import end_home

        settings = read_settings()
        ended = end_home(settings)
        output.answer({"home": str(settings.home), "ended": [each.as_json() for each in ended]})
        if output.wants_json:
            return
        if not ended:
            output.console.print(f"Nothing of {settings.home} runs: there is nothing to end.")
        for each in ended:
            output.console.print(f"[green]✓[/] ended {each}")
