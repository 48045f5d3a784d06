"""Owns the commands ``rollout status``, ``rollout run``, ``rollout advance`` and ``rollout abort``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from evertrain.cli.console import command

if TYPE_CHECKING:
    from evertrain.config import LabelsConfig
    from evertrain.rollout.controller import Look
    from evertrain.settings import Settings

app = typer.Typer(
    help="See how a new version is rolled out beside the champion, walk it on, or end it.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="The pipeline's name.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]


@app.command("status", epilog="Example:\n\n  evertrain rollout status flights")
def status(name: Name, json: Json = False) -> None:
    """Show the rollout under way: its step, what both arms did, and what comes next.

    Exit codes: 0 shown, 2 no such pipeline, 5 a service or the disk.
    """
    with command(wants_json=json) as output:
        from evertrain.cli.rollout_view import rollout_table
        from evertrain.pipelines import open_existing_journal
        from evertrain.rollout.walk import look_at_rollout
        from evertrain.settings import read_settings

        journal = open_existing_journal(name, read_settings())
        _, state = journal.read()
        if state.rollout is None:
            output.answer({"pipeline": name, "rollout": None, "champion": state.champion})
            if not output.wants_json:
                output.console.print(
                    f"No rollout of [bold]{name}[/] is under way; version [bold]{state.champion}[/] serves. "
                    f"`evertrain audit show {name}` tells what was."
                )
            return
        look = look_at_rollout(journal, state)
        output.answer({"pipeline": name, "rollout": spell_look(look), "champion": state.champion})
        if not output.wants_json:
            output.console.print(rollout_table(name, look, state.champion))


@app.command("run", epilog="Example:\n\n  evertrain rollout run flights")
def run(name: Name, json: Json = False) -> None:
    """Walk the rollout to its end: promoted, rolled back or aborted. Ended here, another run takes it up.

    Exit codes: 0 ended, 2 no such pipeline, 5 a service or the disk, 11 none is under way, or it is walked
    already.
    """
    with command(wants_json=json) as output:
        from evertrain.cli.rollout_view import RolloutProgress
        from evertrain.rollout.walk import walk_rollout
        from evertrain.settings import read_settings
        from flows.notices import notify_rollout_end

        settings = read_settings()
        with RolloutProgress(output.console, name) as progress:
            ended = walk_rollout(name, settings, progress.tell, labels=find_labels(name, settings))
        notify_rollout_end(name, ended, settings)
        output.answer(
            {
                "pipeline": name,
                "decision": ended.outcome,
                "version": ended.version,
                "champion": ended.state.champion,
                "generation": ended.state.generation,
                "reason": ended.reason,
            }
        )
        if not output.wants_json:
            told = {"promoted": "[green]✓ serves[/]", "rolled_back": "[red]✗ was rolled back[/]"}
            output.console.print(
                f"[bold]{name}[/] version [bold]{ended.version}[/] "
                f"{told.get(ended.outcome, 'was aborted')}: {ended.reason}. "
                f"Version [bold]{ended.state.champion}[/] answers all requests."
            )


@app.command(
    "advance",
    epilog="Examples:\n\n  evertrain rollout advance flights\n\n"
    '  evertrain rollout advance flights --force --reason "low season, nobody asks"',
)
def advance(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Whatever the evidence; needs --reason.")] = False,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Give the challenger its next share of requests now; after the last step it is champion.

    Exit codes: 0 done, 2 no such pipeline or no reason, 5 a service or the disk, 11 none is under way, or
    the evidence doesn't allow it.
    """
    with command(wants_json=json) as output:
        from evertrain.rollout.walk import advance_rollout
        from evertrain.settings import read_settings

        _, state = advance_rollout(name, read_settings(), force=force, reason=reason)
        rollout = state.rollout
        percent = rollout.percent if rollout else None
        decision = "advanced" if rollout else "promoted"
        output.answer(
            {"pipeline": name, "decision": decision, "percent": percent, "champion": state.champion}
        )
        if not output.wants_json:
            told = (
                f"version [bold]{rollout.version}[/] answers {rollout.percent:g} % of requests"
                if rollout
                else f"version [bold]{state.champion}[/] is champion"
            )
            output.console.print(f"[bold]{name}[/]: {told}.")


@app.command("abort", epilog='Example:\n\n  evertrain rollout abort flights --reason "wrong data"')
def abort(name: Name, reason: Reason = "", json: Json = False) -> None:
    """End the rollout: the champion answers all requests again, within a second.

    Exit codes: 0 done, 2 no such pipeline, 5 a service or the disk, 11 none is under way.
    """
    with command(wants_json=json) as output:
        from evertrain.rollout.walk import abort_rollout
        from evertrain.settings import read_settings

        entry, state = abort_rollout(name, read_settings(), reason)
        version = entry.data["version"]
        output.answer(
            {"pipeline": name, "decision": "aborted", "version": version, "champion": state.champion}
        )
        if not output.wants_json:
            output.console.print(
                f"[bold]{name}[/]: the rollout of version [bold]{version}[/] is ended; "
                f"version [bold]{state.champion}[/] answers all requests."
            )


def find_labels(name: str, settings: Settings) -> LabelsConfig | None:
    """Where the pipeline's YAML says that late labels come from; None where there is no YAML of it here."""
    from evertrain.config.files import load_config
    from evertrain.pipelines import config_path

    path = config_path(name)
    return load_config(path, settings).labels if path.suffix else None


def spell_look(look: Look) -> dict[str, Any]:
    """A rollout as JSON has it."""
    from evertrain.rollout.controller import spell_evidence

    rollout = look.rollout
    return {
        "version": rollout.version,
        "strategy": rollout.kind,
        "step": rollout.step,
        "steps": list(rollout.steps),
        "percent": rollout.percent,
        "since": rollout.step_since,
        "paused": rollout.paused,
        "next": look.move.kind,
        "why": look.move.reason,
        "answering": look.seen.answering,
        "verdict": rollout.verdict,
        **spell_evidence(look.seen),
    }
