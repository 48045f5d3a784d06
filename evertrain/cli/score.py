"""Owns the command ``score``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evertrain.cli.console import Output, command

if TYPE_CHECKING:
    from evertrain.batch import BatchReport

EXAMPLES = """Examples:

  evertrain score configs/flights.yaml --input "new/*.parquet" --output scored.parquet

  evertrain score configs/flights.yaml --input s3://lake/today.csv --output s3://lake/scored.csv --version 3
"""


def score(
    config: Annotated[str, typer.Argument(help="The pipeline's YAML.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option("--input", help="Path, glob or s3://…; CSV, JSON lines, Parquet; default: batch.input."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--output", help="Path or s3://…; .parquet, .csv, .jsonl; default: batch.output."),
    ] = None,
    query: Annotated[bool, typer.Option("--query", help="Run data.query over the rows first.")] = False,
    version: Annotated[str, typer.Option(help="A version, or champion.")] = "champion",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a file of rows, of any size, with the code that serves.

    Writes prediction_id, entity, timestamp, prediction, probability_<class> and version, in the input's
    order. A run that was cut off goes on where it stopped when the same command is given again.

    Exit codes: 0 done, 2 config or no such version, 3 the rows can't be had or scored, or no champion, 4 the
    model failed, 5 a service or the disk.
    """
    with command(wants_json=json) as output:
        report = run(config, source, target, query=query, version=version)
        output.answer(report.model_dump(mode="json"))
        if not output.wants_json:
            show(report, output)


def run(config: str, source: str | None, target: str | None, *, query: bool, version: str) -> BatchReport:
    """Score with the version that is named."""
    from evertrain.config.files import load_config
    from evertrain.pipelines import config_path, find_version, open_pipeline
    from evertrain.settings import read_settings

    settings = read_settings()
    pipeline = open_pipeline(load_config(config_path(config), settings), settings)

    from evertrain.batch import score_batch
    from evertrain.batch.addresses import choose_addresses
    from evertrain.bundles import load_bundle

    rows, answers = choose_addresses(
        pipeline.config.batch, datetime.now(UTC).date(), source=source, target=target
    )
    chosen = find_version(pipeline, version)
    return score_batch(
        pipeline.config,
        load_bundle(pipeline.store, chosen.bundle),
        chosen.version,
        source=rows,
        target=answers,
        home=settings.home,
        query=query,
    )


def show(report: BatchReport, output: Output) -> None:
    """Print what the batch came to."""
    rate = report.rows - report.resumed
    speed = f", {rate / report.seconds:,.0f} a second" if report.seconds > 0 and rate else ""
    resumed = f" ({report.resumed:,} of them before it was cut off)" if report.resumed else ""
    output.console.print(
        f"Scored [bold]{report.rows:,}[/] rows{resumed} with {report.pipeline} v{report.version} in "
        f"{report.seconds:.1f} s{speed}: {report.output}"
    )
    for name, count in report.unseen.items():
        output.console.print(f"  {name}: {count:,} values of categories that training didn't have")
