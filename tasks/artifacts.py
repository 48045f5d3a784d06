"""Owns what a run shows in Prefect's UI beside its tasks: tables of verdicts, and links."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from httpx import HTTPStatusError, TransportError
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.runtime import flow_run, task_run
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from evertrain.records import Judgement, MetricEstimate, ModelVersion, ValidationReport
from tasks.run import Run

REQUEST_SECONDS = 10.0
PATIENCE_SECONDS = 10.0
"""After so long no further try begins; Prefect's client tries within each, for 14 s where nothing answers."""
SERVERS_OWN_FAULT = 500
PASSING = (408, 429)
logger = logging.getLogger("evertrain.artifacts")


def show_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """Show a table on the run's page; see ``show``."""
    show(key, "table", json.dumps(list(rows)), description)


def show(key: str, kind: Literal["table", "markdown"], data: str, description: str) -> None:
    """Show something on the run's page; where Prefect doesn't take it, warn: it is a look, not a result.

    Args:
        key: What it is called, see ``artifact_key``.
        kind: What Prefect is to make of *data*.
        data: Markdown, or a table's rows as JSON.
        description: What stands above it.

    Raises:
        TransportError: The server stayed out of reach: what nobody could see the end of isn't gone on with.
    """
    artifact = ArtifactCreate(
        key=key,
        type=kind,
        data=data,
        description=description,
        flow_run_id=flow_run.get_id(),
        task_run_id=task_run.get_id(),
    )
    patient = Retrying(
        retry=retry_if_exception(may_pass),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_exponential(multiplier=0.5, max=4.0),
        reraise=True,
    )
    try:
        patient(post, artifact)
    except HTTPStatusError as cause:
        logger.warning(
            "Prefect's page of this run lacks %r: its server didn't take it (it answered %d). "
            "The run goes on.",
            key,
            cause.response.status_code,
        )


def post(artifact: ArtifactCreate) -> None:
    """Give *artifact* to the Prefect server, directly: Prefect's own function may wait for minutes.

    Raises:
        HTTPError: The server can't be reached, or refuses.
    """
    client = get_client(sync_client=True)
    given = artifact.model_dump(mode="json", exclude_unset=True)
    client.request("POST", "/artifacts/", json=given, timeout=REQUEST_SECONDS)


def may_pass(cause: BaseException) -> bool:
    """Whether what kept the server from taking an artifact may go away by itself."""
    if isinstance(cause, HTTPStatusError):
        status = cause.response.status_code
        return status >= SERVERS_OWN_FAULT or status in PASSING
    return isinstance(cause, TransportError)


def artifact_key(pipeline: str, what: str) -> str:
    """Spell a key as Prefect wants it: small letters, digits and dashes."""
    return f"{pipeline.replace('_', '-')}-{what}"


def show_validation(run: Run, report: ValidationReport) -> None:
    """Show each expectation with its verdict."""
    rows: list[dict[str, Any]] = [
        {
            "expectation": result.type,
            "column": result.column or "",
            "verdict": "met" if result.success else "failed",
            "unexpected rows": result.unexpected_rows,
            "quarantined rows": result.quarantined_rows,
            "examples": ", ".join(result.examples),
        }
        for result in report.results
    ]
    apart = f"; {report.quarantined:,} rows were set aside" if report.quarantined else ""
    verdict = "met" if all(result.success for result in report.results) else "not met"
    show_table(
        artifact_key(run.config.name, "validation"),
        rows,
        f"Great Expectations on {report.rows:,} rows: {verdict}{apart}.",
    )


def show_judgement(run: Run, judgement: Judgement) -> None:
    """Show challenger beside champion, and each gate's verdict."""
    evaluation = judgement.evaluation
    champion = evaluation.champion
    held = judgement.held_because
    show_table(
        artifact_key(run.config.name, "champion-against-challenger"),
        [
            {
                "metric": name,
                "challenger": spell(estimate),
                "champion": spell(champion.metrics.get(name)) if champion else "",
            }
            for name, estimate in evaluation.metrics.items()
        ],
        f"Both on the same {evaluation.rows:,} held-out rows, with 95 % bootstrap intervals.",
    )
    show_table(
        artifact_key(run.config.name, "gates"),
        [
            {"gate": gate.type, "metric": gate.metric or "", "verdict": gate.verdict, "why": gate.reason}
            for gate in judgement.gates
        ],
        f"Held: {'; '.join(held)}." if held else "All gates let it pass.",
    )


def show_links(run: Run, version: ModelVersion, url: str | None) -> None:
    """Show where the run and its report lie in MLflow, as links where MLflow's pages are served."""
    named = f"version {version.version} of `{run.config.name}`"
    # The report is there once the run is over.
    links = f"[The run in MLflow]({url})\n\n[Its report]({url}/artifacts/report.html)"
    show(
        artifact_key(run.config.name, "mlflow-run"),
        "markdown",
        f"The run of {named}\n\n{links}" if url else f"MLflow run `{version.run_id}`, {named}",
        f"Metrics, plots and the report of version {version.version}.",
    )


def spell(estimate: MetricEstimate | None) -> str:
    """Write a metric with its interval; nothing for one that the champion can't be measured by."""
    if estimate is None:
        return ""
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
