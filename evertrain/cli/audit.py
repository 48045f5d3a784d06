"""Owns the commands ``audit show`` and ``audit verify``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import command
from evertrain.errors import JournalTampered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from evertrain.audit import AuditRow

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
        from evertrain.pipelines import open_existing_journal
        from evertrain.settings import read_settings

        rows = audit.show(open_existing_journal(name, read_settings()))
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
        from evertrain.pipelines import open_existing_journal
        from evertrain.settings import read_settings

        found = audit.verify(open_existing_journal(name, read_settings()))
        if found.problems:
            raise JournalTampered(
                f"The journal of {name} doesn't hold: {'; '.join(found.problems)}.", problems=found.problems
            )
        output.answer({"pipeline": name, "entries": found.entries, "problems": []})
        if not output.wants_json:
            output.console.print(f"[green]✓[/] {found.entries} entries, one unbroken chain")


def audit_table(name: str, rows: Sequence[AuditRow]) -> Table:
    """Lay the entries out, oldest first."""
    from rich.table import Table

    table = Table("no.", "when (UTC)", "who", "what", "why", title=f"Journal of {name}", title_justify="left")
    for row in rows:
        table.add_row(str(row.number), row.at[:19].replace("T", " "), row.actor, row.what, row.why)
    return table
