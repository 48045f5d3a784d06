"""Owns the command ``train``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from evertrain.cli.ci_files import failure_teller, leave_outcome
from evertrain.cli.console import Output, command
from evertrain.records import TrainOutcome, Trigger
from evertrain.summaries.junit import check_writable, write_junit

EXAMPLES = """Examples:

  evertrain train configs/flights.yaml

  evertrain train configs/flights.yaml --as-of 2013-07-01

  evertrain train configs/flights.yaml --set training.params.max_iter=300 --json
"""
EXIT_CODES = {"promoted": 0, "rollout": 0, "held": 10}


def train(
    config: Annotated[str, typer.Argument(help="The pipeline's YAML.", show_default=False)],
    as_of: Annotated[str | None, typer.Option(help="Hide everything later than this ISO time.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Replace a value of the YAML.")
    ] = None,
    trigger: Annotated[Trigger, typer.Option(help="Who asks.")] = "manual",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    junit: Annotated[
        Path | None, typer.Option(help="Write each gate as a JUnit test case, or the error.")
    ] = None,
) -> None:
    """Ingest, validate, train, evaluate, register and promote.

    Exit codes: 0 promoted or rollout begun, 10 held, 3 data refused, 2 config, 4 training, 5 a service or
    the disk, 11 another train of this pipeline runs, 12 journal tampered.
    """
    with command(wants_json=json) as output:
        if junit is not None:
            check_writable(junit)
        output.tell_failure = failure_teller(config, junit)
        outcome = run(config, as_of, tuple(set_ or ()), trigger)
        report(outcome, output, junit)
        code = EXIT_CODES[outcome.decision]
    raise typer.Exit(code)


def run(config: str, as_of: str | None, overrides: tuple[str, ...], trigger: Trigger) -> TrainOutcome:
    """Answer from the records of an earlier run where nothing changed, else run the flow."""
    from evertrain.config.files import check_trainable, load_config
    from evertrain.outcomes import find_outcome
    from evertrain.pipelines import config_path, open_pipeline, parse_as_of
    from evertrain.settings import read_settings

    settings = read_settings()
    path = config_path(config)
    time = parse_as_of(as_of)
    loaded = load_config(path, settings, overrides, defer_vendors=True)
    pipeline = open_pipeline(loaded, settings)
    found = find_outcome(pipeline, time)
    if found is not None:
        return found
    from flows.local_server import server_must_start
    from flows.validators import validator_ahead

    # Great Expectations' import is the longest of all: it begins before any other of its kind, save where a
    # local server has to start: that needs the second core first, and the flow begins it then.
    with nullcontext() if server_must_start(settings) else validator_ahead(loaded.validation):
        check_trainable(loaded, settings, str(path))
        from flows.launch import run_training

        return run_training(str(path), settings, as_of=as_of, trigger=trigger, overrides=overrides)


def report(outcome: TrainOutcome, output: Output, junit: Path | None) -> None:
    """Print the outcome for a person, a program and a CI system."""
    from evertrain.cli.train_view import show_outcome

    if junit is not None:
        write_junit(outcome, junit)
    leave_outcome(outcome)
    output.answer(outcome.model_dump(mode="json"))
    if not output.wants_json:
        show_outcome(outcome, output.console)
