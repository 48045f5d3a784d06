"""Owns the command ``check``."""

from __future__ import annotations

from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import command

if TYPE_CHECKING:
    from evertrain.config import PipelineConfig
    from evertrain.datasets import Ingested

EXAMPLES = """Examples:

  evertrain check configs/flights.yaml

  evertrain check configs/flights.yaml --data --json
"""


def look_at_data(config: PipelineConfig) -> tuple[Ingested, tuple[str, ...]]:
    """Ingest and validate in a folder that is thrown away.

    Returns:
        What was ingested, and what in its rows looks like leakage.

    Raises:
        SourceError: The data can't be had.
        DataRefused: The data can't be learnt from, or fails an expectation.
    """
    from evertrain.datasets import ingest
    from evertrain.storage import open_store
    from evertrain.training import find_leaks, read_rows
    from evertrain.validation import refusal
    from evertrain.validation.snapshots import validate_snapshot

    with TemporaryDirectory(prefix="evertrain-check-") as folder:
        store = open_store(folder)
        ingested = ingest(config, store, as_of=None, now=datetime.now(UTC))
        report = validate_snapshot(config.validation, ingested, store)
        if not report.success:
            raise refusal(report)
        return ingested, find_leaks(config, ingested, store, *read_rows(config, ingested, store))


def check(
    config: Annotated[str, typer.Argument(help="The pipeline's YAML.", show_default=False)],
    data: Annotated[bool, typer.Option("--data", help="Read the data too, and check it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate a pipeline's YAML and print what would be done; reads no data unless --data.

    Exit codes: 0 sound, 2 config, with --data 3 data refused.
    """
    with command(wants_json=json) as output:
        from evertrain.config.files import load_config
        from evertrain.config.plans import build_plan
        from evertrain.pipelines import config_path
        from evertrain.settings import read_settings

        settings = read_settings()
        loaded = load_config(config_path(config), settings)
        plan = build_plan(loaded, settings)
        seen = look_at_data(loaded) if data else None
        told = seen and {**seen[0].model_dump(mode="json"), "leakage": list(seen[1])}
        output.answer({**plan.model_dump(mode="json"), "data": told})
        if not output.wants_json:
            from evertrain.cli.check_view import show_ingested, show_plan

            show_plan(plan, output.console)
            if seen is not None:
                show_ingested(*seen, output.console)
