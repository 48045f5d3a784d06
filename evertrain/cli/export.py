"""Owns the command ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evertrain.cli.console import command, spell_path

EXAMPLES = """Examples:

  evertrain export flights --to flights-model

  evertrain export flights --to flights-3 --version 3
"""


def export(
    name: Annotated[str, typer.Argument(help="The pipeline's name.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="A folder that is new or empty.", show_default=False)],
    version: Annotated[str, typer.Option(help="A version, or champion.")] = "champion",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a model into a folder that answers without evertrain, in Python and in a browser.

    Exit codes: 0 done, 2 no such pipeline or version, or a folder that isn't empty, 3 no champion, 5 a
    service or the disk, 12 the journal was tampered with.
    """
    with command(wants_json=json) as output:
        from evertrain.exporting import export_bundle
        from evertrain.pipelines import open_existing_journal, pick_version
        from evertrain.settings import read_settings
        from evertrain.storage import attach_store

        settings = read_settings()
        _, state = open_existing_journal(name, settings).read()
        chosen = pick_version(state, name, version)
        store = attach_store(settings.store)
        exported = export_bundle(store, name, chosen.version, chosen.bundle, to.expanduser())
        output.answer(exported.model_dump(mode="json"))
        if not output.wants_json:
            folder = spell_path(to.expanduser().absolute())
            output.console.print(
                f"Exported [bold]{name}[/] v{exported.version} ({exported.runtime}) to {folder}. "
                f"Ask it: python {folder}/predict.py; {folder}/README.md says more."
            )
