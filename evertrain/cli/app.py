"""Owns the list of commands, and the one way out of all of them: the exit codes of the contract."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version
from typing import Annotated

import click
import typer

from evertrain.cli import audit, check, demo, rollback, serve, train
from evertrain.cli.console import INTERRUPTED, print_failure

app = typer.Typer(
    name="evertrain",
    help="Continuous training in which every champion has to defend its title.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("check", epilog=check.EXAMPLES)(check.check)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("rollback", epilog=rollback.EXAMPLES)(rollback.rollback)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.add_typer(audit.app, name="audit")


def show_version(wanted: bool) -> None:
    """Print evertrain's version and end."""
    if wanted:
        typer.echo(version("evertrain"))
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Continuous training in which every champion has to defend its title."""


def main() -> None:
    """Run the command line; ends the process with the contract's exit code."""
    if not sys.warnoptions:
        # Libraries' warnings are for their developers; what a user can act on, evertrain says itself.
        warnings.simplefilter("ignore")
    try:
        code = app(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        code = print_failure(error, wants_json="--json" in sys.argv)
    except click.exceptions.Abort:
        code = INTERRUPTED
    sys.exit(code)
