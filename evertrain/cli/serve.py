"""Owns the command ``serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from evertrain.cli.console import command

EXAMPLES = """Examples:

  evertrain serve flights

  evertrain serve flights weather --port 9000
"""


def serve(
    names: Annotated[
        list[str] | None, typer.Argument(help="Pipelines to serve; default: all.", show_default=False)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0: a free one; default: PORT, else 8080.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond loopback without API keys.")
    ] = False,
    log_times: Annotated[bool, typer.Option("--log-times/--no-log-times", hidden=True)] = True,
    parent: Annotated[int | None, typer.Option(hidden=True, help="End when this process does.")] = None,
) -> None:
    """Serve the champions over HTTP, and follow every promotion without dropping a request."""
    with command(wants_json=False):
        from evertrain.orphans import end_with_parent
        from evertrain.settings import read_settings
        from serving.server import log_to_stderr, run

        if parent is not None:
            end_with_parent(parent)

        settings = read_settings()
        with log_to_stderr(with_times=log_times):
            run(
                tuple(names or ()),
                settings,
                host=host,
                port=settings.port if port is None else port,
                workers=workers,
                insecure=insecure,
            )
