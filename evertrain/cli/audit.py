"""Owns the commands ``audit show`` and ``audit verify``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import command
from evertrain.errors import ConfigError, JournalTampered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from evertrain.audit import AuditRow
    from evertrain.release import ReleaseJournal

app = typer.Typer(help="Read a pipeline's journal, or check that nobody changed it.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The pipeline's name.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("show", epilog="Example:\n\n  evertrain audit show flights")
def show(name: Name, json: Json = False) -> None:
    """List who did what, when and why.

    Exit codes: 0 shown, 12 the journal was tampered with.
    """
    with command(wants_json=json) as output:
        from evertrain import audit

        rows = audit.show(open_existing(name))
        output.answer({"pipeline": name, "entries": [asdict(row) for row in rows]})
        if not output.wants_json:
            output.console.print(audit_table(name, rows))


@app.command("verify", epilog="Example:\n\n  evertrain audit verify flights --json")
def verify(name: Name, json: Json = False) -> None:
    """Check the journal's chain from its first entry to its last.

    Exit codes: 0 it holds, 12 it was tampered with.
    """
    with command(wants_json=json) as output:
        from evertrain import audit

        found = audit.verify(open_existing(name))
        if found.problems:
            raise JournalTampered(
                f"The journal of {name} doesn't hold: {'; '.join(found.problems)}.", problems=found.problems
            )
        output.answer({"pipeline": name, "entries": found.entries, "problems": []})
        if not output.wants_json:
            output.console.print(f"[green]✓[/] {found.entries} entries, one unbroken chain")


def open_existing(name: str) -> ReleaseJournal:
    """Open the journal of a pipeline that has one.

    Raises:
        ConfigError: There is no such pipeline in the store; names those that there are.
    """
    from evertrain.release import open_journal
    from evertrain.settings import read_settings
    from evertrain.storage import open_store

    settings = read_settings()
    store = open_store(settings.store)
    journal = open_journal(store, name, settings.actor)
    if next(iter(store.list(f"journal/{name}/")), None) is None:
        known = sorted({key.split("/")[1] for key in store.list("journal/")})
        raise ConfigError(
            f"There is no pipeline {name!r} in the store {settings.store}; "
            f"there {'are ' + ', '.join(known) if known else 'is none yet: train one first'}."
        )
    return journal


def audit_table(name: str, rows: Sequence[AuditRow]) -> Table:
    """Lay the entries out, oldest first."""
    from rich.table import Table

    table = Table("no.", "when (UTC)", "who", "what", "why", title=f"Journal of {name}", title_justify="left")
    for row in rows:
        table.add_row(str(row.number), row.at[:19].replace("T", " "), row.actor, row.what, row.why)
    return table
