"""Owns the command ``drift``."""

from __future__ import annotations

from typing import Annotated

import typer

from evertrain.cli.ci_files import failure_teller, leave_check
from evertrain.cli.console import Output, command
from evertrain.drift_records import DriftOutcome

EXAMPLES = """Examples:

  evertrain drift configs/flights.yaml

  evertrain drift configs/flights.yaml --as-of 2013-06-01

  evertrain drift configs/flights.yaml --no-retrain --json
"""
DRIFTED_AND_LEFT, TOO_LITTLE_DATA = 20, 21


def drift(
    config: Annotated[str, typer.Argument(help="The pipeline's YAML.", show_default=False)],
    as_of: Annotated[str | None, typer.Option(help="Hide everything later than this ISO time.")] = None,
    no_retrain: Annotated[bool, typer.Option("--no-retrain", help="Only look.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the champion for drift; retrain when the policy says so.

    Exit codes: 0 steady, or drifted and handled, 20 drifted with --no-retrain, 21 too little data, 3 no
    champion or data refused, 2, 5, 12 as train, a failed retrain's code.
    """
    with command(wants_json=json) as output:
        output.tell_failure = failure_teller(config)
        outcome = run(config, as_of, may_retrain=not no_retrain)
        report(outcome, output)
        code = exit_code(outcome, may_retrain=not no_retrain)
    raise typer.Exit(code)


def run(config: str, as_of: str | None, *, may_retrain: bool) -> DriftOutcome:
    """Refuse at once what needs no look at the data, else run the flow."""
    from evertrain.config.files import load_config
    from evertrain.pipelines import config_path, find_champion, open_pipeline, parse_as_of
    from evertrain.settings import read_settings

    settings = read_settings()
    path = config_path(config)
    parse_as_of(as_of)
    loaded = load_config(path, settings)
    find_champion(open_pipeline(loaded, settings))
    from flows.launch import run_drift_check

    return run_drift_check(str(path), settings, as_of=as_of, may_retrain=may_retrain)


def report(outcome: DriftOutcome, output: Output) -> None:
    """Print the outcome for a person, a program and a CI system."""
    from evertrain.cli.drift_view import show_check

    leave_check(outcome)
    # The shapes are what the page's pictures are drawn of.
    output.answer(
        outcome.model_dump(mode="json", exclude={"columns": {"__all__": {"shape"}}, "predictions": {"shape"}})
    )
    if not output.wants_json:
        show_check(outcome, output.console)


def exit_code(outcome: DriftOutcome, *, may_retrain: bool) -> int:
    """Spell the outcome as the contract's exit code."""
    if outcome.failure is not None:
        return outcome.failure.exit
    if outcome.decision == "too_little_data":
        return TOO_LITTLE_DATA
    return DRIFTED_AND_LEFT if outcome.decision == "drifted" and not may_retrain else 0
