"""Owns the command ``rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import command

if TYPE_CHECKING:
    from evertrain.journal import Entry
    from evertrain.release import PipelineState
    from evertrain.settings import Settings

EXAMPLES = """Examples:

  evertrain rollback flights

  evertrain rollback flights --to 3 --reason "late flights in Newark are missed"
"""


def rollback(
    name: Annotated[str, typer.Argument(help="The pipeline's name.", show_default=False)],
    to: Annotated[int | None, typer.Option(help="Version; default: the champion before this one.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make an earlier champion the champion again; the service follows within a second.

    Exit codes: 0 done, 2 no such version, 5 a service or the disk, 11 someone else moved first.
    """
    with command(wants_json=json) as output:
        from evertrain.pipelines import open_existing_journal
        from evertrain.registry import follow_with_aliases
        from evertrain.release import decide_rolled_back
        from evertrain.rollout.walk import tell_acknowledged
        from evertrain.settings import read_settings

        settings = read_settings()
        journal = open_existing_journal(name, settings)
        entry, state = journal.append(decide_rolled_back(to=to, reason=reason))
        follow_with_aliases(settings, name, state.aliases)
        tell_acknowledged(journal, state)
        output.answer(
            {
                "pipeline": name,
                "decision": "rolled_back",
                "version": state.champion,
                "from": entry.data["from"],
                "generation": state.generation,
            }
        )
        if not output.wants_json:
            output.console.print(
                f"[bold]{name}[/] serves version [bold]{state.champion}[/] again "
                f"(it was {entry.data['from']}). See `evertrain audit show {name}`."
            )
        tell_others(settings, name, entry, state)


def tell_others(settings: Settings, name: str, entry: Entry, state: PipelineState) -> None:
    """Tell those whom the pipeline's YAML names."""
    from flows.notices import notify_rollback

    was = int(str(entry.data["from"]))
    notify_rollback(name, to=state.champion or 0, was=was, reason=entry.reason, settings=settings)
