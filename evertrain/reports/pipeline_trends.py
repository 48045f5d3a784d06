"""Owns the trends of a pipeline's page: which picture shows what, and the words above each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from evertrain.reports.pipeline_plots import Dot, bars_svg, trend_svg
from evertrain.reports.pipeline_story import CheckStory, PipelineStory
from evertrain.reports.pipeline_words import read_moment, spell_as_of, spell_level

MOST_BARS = 30


class Trend(NamedTuple):
    """A picture, its title, and what it says in words."""

    title: str
    words: str
    picture: str


def draw_trends(story: PipelineStory) -> list[Trend]:
    """Draw what the story has anything of: drift, the metric on new labels, regret, rows."""
    checks = sorted(story.checks, key=lambda check: (read_moment(check.as_of), check.number))
    holdouts = {each.version: each.facts.metrics for each in story.versions if each.facts is not None}

    def holdout(check: CheckStory) -> float | None:
        found = check.performance
        if found is None or check.champion is None:
            return None
        if found.holdout is not None:
            return found.holdout
        return holdouts.get(check.champion, {}).get(found.metric)

    drawn = (
        _draw_drift(checks),
        _draw_performance(checks, holdout),
        _draw_regret(checks),
        _draw_rows(story),
    )
    return [trend for trend in drawn if trend is not None]


def _draw_drift(checks: Sequence[CheckStory]) -> Trend | None:
    seen = [check for check in checks if check.share is not None]
    dots = [
        _dot(
            check,
            check.share,
            f"{check.share:.0%} of columns drifted",
            check.max_share is not None and check.share > check.max_share,
            bar=check.max_share,
        )
        for check in seen
        if check.share is not None
    ]
    if not dots:
        return None
    last = seen[-1]
    bar = "" if last.max_share is None else f"; dashed: the {last.max_share:.0%} that may"
    words = f"last {last.share:.0%}{bar}"
    title = "Share of columns that drifted"
    return Trend(title, words, trend_svg(dots, _changes(seen), f"{title} over time: {words}", floor=0.0))


def _draw_performance(
    checks: Sequence[CheckStory], holdout: Callable[[CheckStory], float | None]
) -> Trend | None:
    measured = [check for check in checks if check.performance is not None]
    if not measured:
        return None
    metric = measured[-1].performance.metric if measured[-1].performance else ""
    seen = [check for check in measured if check.performance and check.performance.metric == metric]
    dots = [
        _dot(check, found.value, f"{metric} {found.value:.4g}", found.fired, bar=holdout(check))
        for check in seen
        if (found := check.performance) is not None
    ]
    words = f"last {dots[-1].value:.4g}"
    if dots[-1].bar is not None:
        words += f"; dashed: {dots[-1].bar:.4g} on its own held-out rows"
    title = f"The champion's {metric} on new labels"
    return Trend(title, words, trend_svg(dots, _changes(seen), f"{title} over time: {words}"))


def _draw_regret(checks: Sequence[CheckStory]) -> Trend | None:
    measured = [check for check in checks if check.regret is not None]
    if not measured:
        return None
    metric = measured[-1].regret.metric if measured[-1].regret else ""
    seen = [check for check in measured if check.regret and check.regret.metric == metric]
    dots = [
        _dot(
            check,
            probe.gain,
            f"gain {probe.gain:+.4f} ({probe.low:+.4f} to {probe.high:+.4f}{spell_level(probe.level)})",
            probe.fired,
            bar=probe.min_gain,
            interval=(probe.low, probe.high),
        )
        for check in seen
        if (probe := check.regret) is not None
    ]
    words = f"last {dots[-1].told.partition(': ')[2]}"
    if dots[-1].bar is not None:
        words += f"; dashed: the least that counts, {dots[-1].bar:g}"
    title = f"What a fresh probe would win in {metric}"
    return Trend(title, words, trend_svg(dots, _changes(seen), f"{title} over time: {words}", floor=0.0))


def _draw_rows(story: PipelineStory) -> Trend | None:
    told = [(each.version, each.facts) for each in story.versions if each.facts is not None][-MOST_BARS:]
    bars = []
    for version, facts in told:
        apart = f", {facts.quarantined:,} quarantined" if facts.quarantined else ""
        unlabelled = f", {facts.unlabelled:,} without a label" if facts.unlabelled else ""
        bars.append((f"v{version}", float(facts.rows), f"v{version}: {facts.rows:,} rows{unlabelled}{apart}"))
    if not bars:
        return None
    words, title = f"last {bars[-1][2]}", "Rows of each version's snapshot"
    return Trend(title, words, bars_svg(bars, f"{title}: {words}"))


def _dot(
    check: CheckStory,
    value: float,
    told: str,
    fired: bool,
    *,
    bar: float | None,
    interval: tuple[float, float] | None = None,
) -> Dot:
    low, high = interval or (None, None)
    by = f", champion v{check.champion}" if check.champion is not None else ""
    return Dot(
        at=read_moment(check.as_of),
        value=value,
        fired=fired,
        told=f"{spell_as_of(check.as_of)}{by}: {told}",
        low=low,
        high=high,
        bar=bar,
    )


def _changes(checks: Sequence[CheckStory]) -> list[tuple[datetime, str]]:
    """Where another champion was looked at than by the check before: half-way between the two."""
    return list(_find_changes(checks))


def _find_changes(checks: Sequence[CheckStory]) -> Iterator[tuple[datetime, str]]:
    for before, after in pairwise(checks):
        if after.champion is not None and before.champion != after.champion:
            earlier, later = read_moment(before.as_of), read_moment(after.as_of)
            yield earlier + (later - earlier) / 2, f"v{after.champion}"
