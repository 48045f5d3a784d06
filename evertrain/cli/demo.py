"""Owns the command ``demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from evertrain.cli.console import command

EXAMPLES = """Example:

  evertrain demo
"""


def demo(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the loop on real flights: train, serve, score a month, retrain, swap; ends all it started.

    Run it at the root of a clone. What it made stays in EVERTRAIN_HOME/demo until the next demo.
    """
    with command(wants_json=json) as output:
        from evertrain.cli.demo_loop import run_demo
        from evertrain.cli.demo_view import show_closing

        story = run_demo(output.console)
        output.answer(story.as_json())
        if not output.wants_json:
            show_closing(story, output.console)
