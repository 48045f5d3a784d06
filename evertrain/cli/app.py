"""Owns the list of commands, and the one way out of all of them: the exit codes of the contract."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from contextlib import suppress
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from evertrain.cli import (
    approve,
    audit,
    backtest,
    check,
    demo,
    deploy,
    down,
    drift,
    export,
    init,
    keys,
    rollback,
    rollout,
    score,
    serve,
    train,
    up,
)
from evertrain.cli.console import INTERRUPTED, answer_usage_error
from evertrain.cli.streams import outlive_readers

app = typer.Typer(
    name="evertrain",
    help="Continuous training in which every champion has to defend its title.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init", epilog=init.EXAMPLES)(init.init)
app.command("check", epilog=check.EXAMPLES)(check.check)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("drift", epilog=drift.EXAMPLES)(drift.drift)
app.command("backtest", epilog=backtest.EXAMPLES)(backtest.backtest)
app.command("score", epilog=score.EXAMPLES)(score.score)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("rollback", epilog=rollback.EXAMPLES)(rollback.rollback)
app.command("approve", epilog=approve.EXAMPLES)(approve.approve)
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("deploy", epilog=deploy.EXAMPLES)(deploy.deploy)
app.command("up", epilog=up.EXAMPLES)(up.up)
app.command("down", epilog=down.EXAMPLES)(down.down)
app.add_typer(rollout.app, name="rollout")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")


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


def run() -> NoReturn:
    """Be the process ``evertrain``: run the command line, end with its exit code.

    The interpreter isn't torn down: with all libraries loaded that takes two seconds, and frees nothing that
    the system doesn't.
    """
    outlive_readers()
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # What a full disk didn't take was told when it was printed.
        with suppress(OSError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)


def main() -> NoReturn:
    """Run the command line; raises SystemExit with the contract's exit code."""
    if not sys.warnoptions:
        # Libraries' warnings are for their developers; what a user can act on, evertrain says itself.
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that can't show a tick shows a question mark: no reason to fail.
            stream.reconfigure(errors="replace")
    if "--json" in sys.argv:
        sys.exit(run_for_program())
    app()
    sys.exit()


def run_for_program() -> int:
    """Run a command whose caller reads JSON; a wrong use of the command line is told as JSON too."""
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        return answer_usage_error(error)
    except typer.Abort:
        return INTERRUPTED
    return int(code or 0)
