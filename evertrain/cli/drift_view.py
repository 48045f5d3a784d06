"""Owns how a drift check looks in a terminal: the verdict, what was found and done, what to type next."""

from __future__ import annotations

from math import inf

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evertrain.cli.console import program
from evertrain.cli.realised_view import realised_lines
from evertrain.cli.train_view import show_outcome
from evertrain.drift_records import ColumnDrift, DriftOutcome, RegretMeasured

STYLES = {"steady": "bold green", "drifted": "bold yellow", "too_little_data": "bold cyan"}
MOST_COLUMNS = 20
MOST_ALERTS = 5
BAR = 20


def show_check(outcome: DriftOutcome, console: Console) -> None:
    """Print the check."""
    console.print()
    console.print(headline(outcome))
    if outcome.columns:
        console.print(columns_table(outcome))
    for answers in answer_lines(outcome):
        console.print(answers)
    for line in label_lines(outcome):
        console.print(Text(line))
    for line in realised_lines(outcome.realised) if outcome.realised else ():
        console.print(Text(line))
    for note in outcome.notes:
        console.print(Text(f"not measured: {note}", "dim"))
    console.print(Text(f"retrain: {outcome.retrain} – {outcome.why}"))
    if outcome.failure:
        console.print(Text(f"  {outcome.failure.message}", "red"))
    if outcome.report:
        console.print(Text.assemble("  ", (outcome.report, "cyan")))
    console.print(Text(f"  {program()} audit show {outcome.pipeline}", "cyan"))
    if outcome.train:
        show_outcome(outcome.train, console)


def headline(outcome: DriftOutcome) -> Text:
    """Say in one line what was found."""
    rows = f"{outcome.rows.current:,} rows up to {outcome.as_of:%Y-%m-%d %H:%M}"
    if outcome.share is None:
        said = f"{rows}: too few to say anything of version {outcome.champion}"
    else:
        said = f"{rows} beside version {outcome.champion}'s {outcome.rows.reference:,}"
    name = outcome.decision.replace("_", " ").upper()
    if outcome.triggers:
        # Not only the data may: a probe that learnt more is drift, too, with no column drifted.
        name = f"{name} ({', '.join(outcome.triggers)})"
    return Text.assemble((name, STYLES[outcome.decision]), f"  {outcome.pipeline}: {said}")


def columns_table(outcome: DriftOutcome) -> Table:
    """Lay out the columns, those nearest to their threshold first, each with a bar."""
    ordered = sorted(outcome.columns, key=nearness, reverse=True)
    table = Table("column", "method", "score", "of its threshold", box=None, pad_edge=False)
    for column in ordered[:MOST_COLUMNS]:
        score = "–" if column.score is None else f"{column.score:.4f}"
        table.add_row(Text(column.name), column.method, score, bar(column))
    share = f"{outcome.share:.0%} of the columns drifted, {outcome.max_share:.0%} may"
    unlisted = len(ordered) - MOST_COLUMNS
    table.caption = f"{share}; {unlisted} further columns in the report" if unlisted > 0 else share
    table.caption_justify = "left"
    return table


def nearness(column: ColumnDrift) -> float:
    """How near a column's score is to its threshold; 1 is at it. Without a score: all the way, or below 0."""
    if column.score is None:
        return inf if column.drifted else -1.0
    return column.score / column.threshold


def bar(column: ColumnDrift) -> Text:
    """Draw the score against the threshold, which is half the bar."""
    if column.score is None:
        return Text(column.reason or "not measured", "yellow" if column.drifted else "dim")
    filled = min(BAR, round(nearness(column) * BAR / 2))
    return Text("━" * filled, "yellow" if column.drifted else "green").append("─" * (BAR - filled), "dim")


def answer_lines(outcome: DriftOutcome) -> list[Text]:
    """Say how far the champion's answers moved, and what the quality of the data lost."""
    lines = []
    found = outcome.predictions
    if found is not None and found.score is None:
        lines.append(Text(f"predictions: {found.reason}", "dim"))
    elif found is not None:
        verdict = "drifted" if found.drifted else "steady"
        said = f"predictions: {found.name} {verdict}, {found.score:.4f} of {found.threshold:.4f}"
        lines.append(Text(said, "yellow" if found.drifted else ""))
    alerts = [each for each in outcome.quality if each.alert]
    lines += [Text(f"quality: {each.words}", "yellow") for each in alerts[:MOST_ALERTS]]
    if len(alerts) > MOST_ALERTS:
        lines.append(Text(f"quality: {len(alerts) - MOST_ALERTS} further alerts in the report", "yellow"))
    return lines


def label_lines(outcome: DriftOutcome) -> list[str]:
    """Say what the newest labels showed."""
    lines = []
    if outcome.performance:
        found = outcome.performance
        lines.append(
            f"performance: {found.metric} {found.value:.4f} on {found.rows:,} newly labelled rows, "
            f"{found.holdout:.4f} when held out{spell_fired(found.fired)}"
        )
    if outcome.regret:
        probe = outcome.regret
        lines.append(
            f"regret: a probe gains {probe.gain:+.4f} ({probe.low:+.4f} to {probe.high:+.4f}) in "
            f"{probe.metric} on {probe.rows:,} rows, {spell_level(probe)}{spell_fired(probe.fired)}"
        )
    return lines


def spell_level(regret: RegretMeasured) -> str:
    """Say how sure the interval is, and why: an interval at 99.95 % surprises who asked for 95 %."""
    return f"at {regret.level:.5g}: one of {regret.looks} looks a year"


def spell_fired(fired: bool) -> str:
    """Say that a trigger fired."""
    return ": fired" if fired else ""
