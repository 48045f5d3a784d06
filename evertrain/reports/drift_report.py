"""Owns a drift check's page: what was found, column by column, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from evertrain.config.plans import spell_limits
from evertrain.drift_records import ColumnDrift, DriftOutcome
from evertrain.durations import spell_duration, spell_seconds
from evertrain.realised_records import Realised
from evertrain.reports.drift_plots import shape_svg
from evertrain.reports.pages import render_page

if TYPE_CHECKING:
    from evertrain.config import PipelineConfig

MOST_COLUMNS = 800
MOST_PICTURES = 150
MOST_SLICES = 60
MOST_FINDINGS = 100
METHODS = {"wasserstein": "Wasserstein distance (normed)", "jensenshannon": "Jensen-Shannon distance"}
RETRAINS = {
    "none": "No retrain",
    "unconfirmed": "No retrain, not confirmed yet",
    "cooldown": "No retrain, cooling down",
    "already_running": "No retrain, one is running already",
    "started": "Retrained",
    "failed": "The retrain failed",
}


def render_drift(config: PipelineConfig, outcome: DriftOutcome, *, evidently: str | None) -> str:
    """Write a check's page: decision, columns with pictures of those that drifted, rows and policy.

    Args:
        config: The pipeline.
        outcome: What the check came to.
        evidently: The address of Evidently's own page, relative to this one's; None where there is none.

    Returns:
        HTML of one page, under 1 MB whatever the number of columns, that asks nothing of the network.
    """
    columns = sorted(outcome.columns, key=_furthest_first)[:MOST_COLUMNS]
    drawn = [column for column in columns if column.shape is not None][:MOST_PICTURES]
    return render_page(
        "drift",
        title=f"{outcome.pipeline}: {_headline(outcome)}",
        headline=_headline(outcome),
        tone="good" if outcome.decision == "steady" else "bad",
        reasons=tuple(_tell_reasons(outcome)),
        outcome=outcome,
        columns=columns,
        unlisted=len(outcome.columns) - len(columns),
        pictures={column.name: shape_svg(column.shape, column.name) for column in drawn if column.shape},
        chances={column.name: _spell_chance(column) for column in columns},
        methods=METHODS,
        answers=_tell_answers(outcome.predictions) if outcome.predictions else None,
        quality=outcome.quality[:MOST_FINDINGS],
        unlisted_quality=len(outcome.quality[MOST_FINDINGS:]),
        labels=tuple(_tell_labels(outcome)),
        **_tell_realised(outcome.realised),
        facts=tuple(_tell_facts(config, outcome)),
        evidently=evidently,
    )


def _furthest_first(column: ColumnDrift) -> tuple[bool, float, str]:
    if column.score is None:
        return not column.drifted, -inf, column.name
    return False, -column.score / column.threshold, column.name


def _spell_chance(column: ColumnDrift) -> str:
    chance = column.p_value
    if chance is None:
        return ""
    return "< 0.0001" if chance < 0.0001 else f"{chance:.2g}"


def _tell_answers(found: ColumnDrift) -> dict[str, str]:
    if found.score is None:
        reason = f"{found.name}: {found.reason}"
        return {"tone": "quiet", "verdict": "– not told", "words": reason, "picture": ""}
    return {
        "tone": "bad" if found.drifted else "good",
        "verdict": "✗ drifted" if found.drifted else "✓ steady",
        "words": f"{found.name}: {METHODS[found.method]} {found.score:.4g} from what it answered on its "
        f"held-out rows; {found.threshold:.4g} would be drift. It counts as no column.",
        "picture": shape_svg(found.shape, found.name) if found.shape is not None else "",
    }


def _headline(outcome: DriftOutcome) -> str:
    if outcome.decision == "too_little_data":
        return "Too little data to tell."
    drifted = sum(column.drifted for column in outcome.columns)
    moved = f"{drifted} of {len(outcome.columns)} columns moved"
    return f"{'Drifted' if outcome.decision == 'drifted' else 'Steady'}: {moved}."


def _tell_reasons(outcome: DriftOutcome) -> Iterator[str]:
    if outcome.share is not None:
        above = "more than" if outcome.share > outcome.max_share else "within"
        yield f"{outcome.share:.0%} of the columns drifted, {above} the {outcome.max_share:.0%} that may"
    yield f"{RETRAINS[outcome.retrain]}: {outcome.why}"
    if outcome.train is not None:
        because = f": {'; '.join(outcome.train.reasons)}" if outcome.train.reasons else ""
        yield f"Version {outcome.train.version} was {outcome.train.decision}{because}"
    if outcome.failure is not None:
        yield outcome.failure.message
    yield from outcome.notes


def _tell_labels(outcome: DriftOutcome) -> Iterator[tuple[str, str]]:
    if outcome.performance is not None:
        found = outcome.performance
        yield (
            "performance",
            f"{found.metric} {found.value:.5g} on {found.rows:,} rows, {found.holdout:.5g} when it was held "
            f"out: {'fell by more' if found.fired else 'no fall of more'} than {found.max_drop:g}",
        )
    if outcome.regret is not None:
        probe = outcome.regret
        yield (
            "regret",
            f"a probe's {probe.metric} {probe.probe:.5g} beside the champion's {probe.champion:.5g} on "
            f"{probe.rows:,} rows: gain {probe.gain:+.5g} ({probe.low:+.5g} to {probe.high:+.5g}), "
            f"{'above' if probe.fired else 'not surely above'} {probe.min_gain:g}; it learnt from "
            f"{probe.learnt_rows:,} rows",
        )
        counted = "counts" if probe.counted else "doesn't count"
        yield (
            "this look",
            f"{counted}; each of {probe.looks} that may count in a year is judged at {probe.level:.5g}",
        )


def _tell_realised(realised: Realised | None) -> dict[str, Any]:
    """What came of the service's answers: in all, by version and arm, and by slice."""
    if realised is None:
        return {"realised": None}
    shown = realised.slices[:MOST_SLICES]
    parts = [("all", realised.total)]
    parts += [(f"version {part.name}", part) for part in realised.versions]
    parts += [(f"arm {part.name}", part) for part in realised.arms]
    parts += [(f"{part.column} = {part.name}", part) for part in shown]
    lag = realised.total.lag
    return {
        "realised": realised,
        "realised_parts": parts,
        "realised_metrics": tuple(dict.fromkeys(name for _, part in parts for name in part.metrics)),
        "realised_unlisted": realised.slices_total - len(shown),
        "realised_lag": lag
        and f"Labels took {spell_seconds(lag.median_seconds)} in the median, "
        f"nine in ten at most {spell_seconds(lag.p90_seconds)}.",
    }


def _tell_facts(config: PipelineConfig, outcome: DriftOutcome) -> Iterator[tuple[str, str]]:
    drift = config.drift
    window = spell_duration(drift.current.window)
    of_log = " of what the service answered" if drift.current.from_ == "predictions" else ""
    rolling = f"the {window} before the current rows"
    reference = rolling if drift.reference == "rolling" else "what the champion learnt from"
    yield "reference", f"{outcome.rows.reference:,} rows: {reference}"
    yield (
        "current",
        f"{outcome.rows.current:,} rows: the newest {window}{of_log}; {drift.current.min_rows:,} are needed",
    )
    yield "retrain on", ", ".join(drift.retrain_on) or "nothing"
    yield "confirmed by", f"{drift.confirm.checks} of {drift.confirm.of} checks"
    yield "cooldown", spell_duration(drift.cooldown)
    yield from spell_limits(drift)
    if outcome.new_labels is not None:
        yield "new labels", f"{outcome.new_labels:,} labelled rows are newer than what was learnt from"
