"""Owns what a CI system is told of a run: a Markdown summary, and output lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evertrain.records import TrainOutcome
from evertrain.summaries.markdown import append_text, escape, one_line, spell_number, spell_table

if TYPE_CHECKING:
    from evertrain.settings import Settings

VERDICTS = {"pass": "✅ pass", "fail": "❌ fail", "not_shown": "➖ not shown"}


def append_for_ci(outcome: TrainOutcome, settings: Settings, run_url: str | None = None) -> None:
    """Append the summary and the output lines to the files that the CI system named, if it did."""
    if settings.step_summary:
        summary = f"{markdown_summary(outcome, run_url)}\n"
        append_text("GITHUB_STEP_SUMMARY", settings.step_summary, summary)
    if settings.step_output:
        append_text("GITHUB_OUTPUT", settings.step_output, output_lines(outcome, run_url))


def markdown_summary(outcome: TrainOutcome, run_url: str | None = None) -> str:
    """Spell the outcome in GitHub's Markdown: decision, metrics beside the champion's, gates."""
    champion = outcome.champion
    again = " (nothing changed: the earlier answer)" if outcome.cached else ""
    head = [
        "metric",
        f"version {outcome.version}",
        *([f"champion, version {champion.version}"] if champion else []),
    ]
    rows = [
        [escape(name), spell_number(value), *([spell_number(champion.metrics.get(name))] if champion else [])]
        for name, value in outcome.metrics.items()
    ]
    gates = [
        [f"{gate.type} {escape(gate.metric or '')}".strip(), VERDICTS[gate.verdict], escape(gate.reason)]
        for gate in outcome.gates
    ]
    parts = [
        f"## {escape(outcome.pipeline)} version {outcome.version}: {outcome.decision}{again}",
        "\n".join(f"- {escape(reason)}" for reason in outcome.reasons),
        spell_table(head, rows),
        spell_table(["gate", "verdict", "why"], gates) if gates else "No gates are named.",
        f"{outcome.snapshot.rows:,} rows in snapshot `{outcome.snapshot.digest[:12]}`, "
        f"bundle `{outcome.bundle.digest[:12]}` ({outcome.bundle.runtime}), MLflow run `{outcome.run_id}`.",
        f"[The run in MLflow]({one_line(run_url)})" if run_url else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def output_lines(outcome: TrainOutcome, run_url: str | None = None) -> str:
    """Spell ``decision=``, ``version=`` and ``run_url=``, one a line."""
    return f"decision={outcome.decision}\nversion={outcome.version}\nrun_url={one_line(run_url or '')}\n"
