"""Owns what a CI system is told of a drift check."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from evertrain.drift_records import ColumnDrift, DriftOutcome
from evertrain.summaries.markdown import append_text, escape, one_line, spell_number, spell_table

if TYPE_CHECKING:
    from evertrain.settings import Settings

MOST_COLUMNS = 50


def append_check_for_ci(outcome: DriftOutcome, settings: Settings, run_url: str | None = None) -> None:
    """Append the summary and the output lines to the files that the CI system named, if it did."""
    if settings.step_summary:
        summary = f"{markdown_check(outcome, run_url)}\n"
        append_text("GITHUB_STEP_SUMMARY", settings.step_summary, summary)
    if settings.step_output:
        version = outcome.train.version if outcome.train else outcome.champion
        lines = f"decision={outcome.decision}\nversion={version}\nrun_url={one_line(run_url or '')}\n"
        append_text("GITHUB_OUTPUT", settings.step_output, lines)


def markdown_check(outcome: DriftOutcome, run_url: str | None = None) -> str:
    """Spell the check in GitHub's Markdown: decision, what was done, columns, metrics."""
    parts = [
        f"## {escape(outcome.pipeline)} as of {outcome.as_of:%Y-%m-%d %H:%M}: {outcome.decision}",
        f"Retrain: **{outcome.retrain}** – {escape(outcome.why)}",
        _spell_train(outcome),
        _spell_labels(outcome),
        "\n".join(f"- {escape(note)}" for note in outcome.notes),
        _spell_columns(outcome),
        _spell_answers(outcome),
        f"{outcome.rows.current:,} rows beside {outcome.rows.reference:,} that version {outcome.champion} "
        "is held against.",
        f"[The retrain in MLflow]({one_line(run_url)})" if run_url else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _spell_train(outcome: DriftOutcome) -> str:
    if outcome.failure:
        return f"The retrain failed: {escape(outcome.failure.message)}"
    if outcome.train is None:
        return ""
    return f"The retrain: version {outcome.train.version} {outcome.train.decision}."


def _spell_labels(outcome: DriftOutcome) -> str:
    rows = []
    performance, regret = outcome.performance, outcome.regret
    if performance:
        said = f"{spell_number(performance.holdout)} when held out, {spell_number(performance.value)} now"
        rows.append(["performance", escape(performance.metric), said, _mark(performance.fired)])
    if regret:
        interval = f"{regret.low:+.4f} to {regret.high:+.4f} at {regret.level:.5g}"
        said = f"a probe gains {regret.gain:+.4f} ({interval}, one of {regret.looks} looks a year)"
        rows.append(["regret", escape(regret.metric), said, _mark(regret.fired)])
    return spell_table(["on new labels", "metric", "found", ""], rows) if rows else ""


def _spell_columns(outcome: DriftOutcome) -> str:
    if not outcome.columns:
        return ""
    ordered = sorted(outcome.columns, key=_nearness, reverse=True)[:MOST_COLUMNS]
    rows = [
        [
            escape(column.name),
            escape(column.method),
            spell_number(column.score),
            spell_number(column.threshold),
            _mark(column.drifted),
        ]
        for column in ordered
    ]
    head = f"{outcome.share:.0%} of the columns drifted; {outcome.max_share:.0%} may."
    return f"{head}\n\n{spell_table(['column', 'method', 'score', 'threshold', ''], rows)}"


def _spell_answers(outcome: DriftOutcome) -> str:
    lines = []
    found = outcome.predictions
    if found is not None:
        moved = f"{spell_number(found.score)} of {spell_number(found.threshold)} {_mark(found.drifted)}"
        told = escape(found.reason) if found.reason else moved
        lines.append(f"- Predictions: {escape(found.name)}: {told}")
    alerts = [each for each in outcome.quality if each.alert][:MOST_COLUMNS]
    lines += [f"- Quality ❗ {escape(each.words)}" for each in alerts]
    return "\n".join(lines)


def _nearness(column: ColumnDrift) -> float:
    if column.score is None:
        return inf if column.drifted else -1.0
    return column.score / column.threshold


def _mark(fired: bool) -> str:
    return "❗" if fired else "✓"
