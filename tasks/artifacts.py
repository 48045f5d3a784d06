"""Owns what a run shows in Prefect's UI beside its tasks: tables of verdicts, and links."""

from __future__ import annotations

from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from evertrain.records import Judgement, MetricEstimate, ModelVersion, ValidationReport
from tasks.run import Run


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
    create_table_artifact(
        rows,
        key=artifact_key(run.config.name, "validation"),
        description=f"Great Expectations on {report.rows:,} rows: {verdict}{apart}.",
    )


def show_judgement(run: Run, judgement: Judgement) -> None:
    """Show challenger beside champion, and each gate's verdict."""
    evaluation = judgement.evaluation
    champion = evaluation.champion
    held = judgement.held_because
    create_table_artifact(
        [
            {
                "metric": name,
                "challenger": spell(estimate),
                "champion": spell(champion.metrics.get(name)) if champion else "",
            }
            for name, estimate in evaluation.metrics.items()
        ],
        key=artifact_key(run.config.name, "champion-against-challenger"),
        description=f"Both on the same {evaluation.rows:,} held-out rows, with 95 % bootstrap intervals.",
    )
    create_table_artifact(
        [
            {"gate": gate.type, "metric": gate.metric or "", "verdict": gate.verdict, "why": gate.reason}
            for gate in judgement.gates
        ],
        key=artifact_key(run.config.name, "gates"),
        description=f"Held: {'; '.join(held)}." if held else "All gates let it pass.",
    )


def show_links(run: Run, version: ModelVersion, url: str | None) -> None:
    """Show where the run and its report lie in MLflow, as links where MLflow's pages are served."""
    named = f"version {version.version} of `{run.config.name}`"
    # The report is there once the run is over.
    links = f"[The run in MLflow]({url})\n\n[Its report]({url}/artifacts/report.html)"
    create_markdown_artifact(
        f"The run of {named}\n\n{links}" if url else f"MLflow run `{version.run_id}`, {named}",
        key=artifact_key(run.config.name, "mlflow-run"),
        description=f"Metrics, plots and the report of version {version.version}.",
    )


def spell(estimate: MetricEstimate | None) -> str:
    """Write a metric with its interval; nothing for one that the champion can't be measured by."""
    if estimate is None:
        return ""
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
