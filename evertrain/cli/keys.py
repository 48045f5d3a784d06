"""Owns the commands ``keys add``, ``keys list`` and ``keys remove``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evertrain.cli.console import command

ADD_EXAMPLES = """Examples:

  evertrain keys add shop --scope predict

  evertrain keys add dashboards --scope read --file keys.txt
"""

app = typer.Typer(
    help="The API keys of the inference service.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Name = Annotated[str, typer.Argument(help="The key's name.", show_default=False)]
File = Annotated[
    Path | None,
    typer.Option("--file", help="The file of keys; default: EVERTRAIN_API_KEYS_FILE.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("add", epilog=ADD_EXAMPLES)
def add(
    name: Name,
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", help="predict, feedback, read, approve or admin; repeatable.", show_default=False
        ),
    ],
    file: File = None,
    json: Json = False,
) -> None:
    """Make a key and print it, this once; the file keeps its hash alone.

    A running service takes it within a second. Exit codes: 0 done, 2 no such scope or a name that is taken,
    5 the file can't be written.
    """
    with command(wants_json=json) as output:
        from evertrain.api_keys import add_key

        path = _file(file)
        key = add_key(path, name, scope)
        output.answer({"name": name, "scopes": sorted(set(scope)), "key": key, "file": str(path)})
        if not output.wants_json:
            typer.echo(key)
            typer.echo(
                f"Keep it: {path} holds only its hash. Send it as `Authorization: Bearer KEY`.", err=True
            )


@app.command("list")
def list_keys(file: File = None, json: Json = False) -> None:
    """List the keys' names and scopes. Exit codes: 0, 2 the file can't be used."""
    with command(wants_json=json) as output:
        from evertrain.api_keys import read_keys

        path = _file(file)
        keys = read_keys(path)
        shown = {name: sorted(key.scopes) for name, key in keys.items()}
        output.answer({"file": str(path), "keys": shown})
        if not output.wants_json:
            for name, scopes in shown.items():
                output.console.print(f"[bold]{name}[/]  {', '.join(scopes)}")
            if not shown:
                output.console.print(f"No keys in {path}.")


@app.command("remove")
def remove(name: Name, file: File = None, json: Json = False) -> None:
    """End a key; a running service refuses it within a second. Exit codes: 0, 2 no such key, 5 the file."""
    with command(wants_json=json) as output:
        from evertrain.api_keys import remove_key

        path = _file(file)
        remove_key(path, name)
        output.answer({"name": name, "file": str(path)})
        if not output.wants_json:
            output.console.print(f"The key [bold]{name}[/] is refused from now on.")


def _file(given: Path | None) -> Path:
    from evertrain.errors import ConfigError
    from evertrain.settings import read_settings

    path = given or read_settings().api_keys_file
    if path is None:
        raise ConfigError(
            "No file of keys: set EVERTRAIN_API_KEYS_FILE to where it shall be (the service reads it from "
            "there), or name it with --file."
        )
    return path
