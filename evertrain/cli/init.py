"""Owns the command ``init``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import command, spell_path

if TYPE_CHECKING:
    from rich.console import Console

    from evertrain.drafts import Draft

EXAMPLES = """Examples:

  evertrain init data/flights/2013-01.parquet --target arr_delay

  evertrain init "data/weather/*.parquet" --target temp --name weather --output weather.yaml
"""


def write_new(path: Path, text: str) -> None:
    """Write a file that isn't there yet, and its folder.

    Raises:
        ConfigError: There is one, or it can't be written.
    """
    from evertrain.errors import ConfigError

    if path.exists():
        raise already_there(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as cause:
        raise ConfigError(
            f"Can't write {str(path)!r}: {cause.strerror}; name another file with --output."
        ) from cause


def already_there(path: Path) -> Exception:
    """Build the error that tells a file that would be written over."""
    from evertrain.errors import ConfigError

    return ConfigError(
        f"{str(path)!r} is there already and is never written over; name another file with --output, or "
        "another pipeline with --name."
    )


def init(
    data: Annotated[str, typer.Argument(help="A file, a glob or an s3:// address.", show_default=False)],
    target: Annotated[str, typer.Option(help="The column to predict.", show_default=False)],
    name: Annotated[
        str | None, typer.Option(help="The pipeline's name; default: after the file.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="What to write; default: configs/NAME.yaml.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at data and write a first YAML, commented; never overwrites a file.

    Exit codes: 0 written, 2 no such name or the file is there, 3 the data can't be had or learnt from.
    """
    with command(wants_json=json) as out:
        from evertrain.drafts import draft_pipeline

        if output is not None and output.exists():
            raise already_there(output)
        draft = draft_pipeline(data, target, name=name, now=datetime.now(UTC))
        path = output or Path("configs") / f"{draft.name}.yaml"
        write_new(path, draft.text)
        out.answer({"path": str(path), **draft.model_dump(mode="json", exclude={"text"})})
        if not out.wants_json:
            show_draft(draft, path, out.console)


def show_draft(draft: Draft, path: Path, console: Console) -> None:
    """Print what was written, and what to type next."""
    from rich.text import Text

    shown = spell_path(path.absolute())
    console.print(Text.assemble("wrote ", (shown, "bold"), f": {draft.task}, {draft.estimator}"))
    for kind, names in draft.features.items():
        console.print(Text(f"{kind}: {', '.join(names)}"))
    for column, reason in draft.left_out.items():
        console.print(Text(f"left out: {column}: {reason}", "dim"))
    for note in draft.notes:
        console.print(Text.assemble(("! ", "yellow"), note))
    console.print(Text(f"Next: evertrain check {shown} --data; evertrain train {shown}"))
