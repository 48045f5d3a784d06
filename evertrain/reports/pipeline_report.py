"""Owns a pipeline's page: champion, lineage, trends and decisions of its whole life, in one look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from evertrain.durations import spell_duration
from evertrain.reports.pages import render_page
from evertrain.reports.pipeline_decisions import Decision, spell_decisions
from evertrain.reports.pipeline_lineage import MOST_LANES, draw_lineage
from evertrain.reports.pipeline_page import PIPELINE_STYLE
from evertrain.reports.pipeline_story import PipelineStory, VersionStory
from evertrain.reports.pipeline_trends import draw_trends
from evertrain.reports.pipeline_words import spell_count, spell_moment, spell_status

if TYPE_CHECKING:
    from evertrain.config import PipelineConfig

MOST_ROWS = 50
GOOD, BAD, QUIET = "good", "bad", "quiet"
_TONES = {"champion": GOOD, "held": BAD, "rejected": BAD, "aborted": BAD, "rolled_back": BAD}


class VersionRow(NamedTuple):
    """A version as a row of the table; ``page`` is its run's page beside this one."""

    version: int
    status: str
    tone: str
    since: str
    metric: str
    rows: str
    why: str
    page: str | None


def render_pipeline(config: PipelineConfig, story: PipelineStory) -> str:
    """Write a pipeline's page from its *story*; nothing is measured for it.

    Args:
        config: The pipeline as its YAML is now.
        story: What its journal says, see ``read_story``.

    Returns:
        HTML of one page, under 1 MB whatever the story's length, that asks nothing of the network.
    """
    metric = config.evaluation.metrics[0] if config.evaluation.metrics else None
    headline, tone = tell_champion(story)
    decisions = spell_decisions(story.checks[-MOST_ROWS:])
    return render_page(
        "pipeline",
        title=f"{story.pipeline}: {headline}",
        more_style=PIPELINE_STYLE,
        description=config.description,
        story=story,
        headline=headline,
        tone=tone,
        told=tuple(_tell_now(story, decisions)),
        lineage=draw_lineage(story),
        lanes=MOST_LANES,
        lanes_left=max(0, len(story.versions) - MOST_LANES),
        metric=metric,
        versions=[_version_row(each, metric) for each in reversed(story.versions[-MOST_ROWS:])],
        versions_left=story.counts.versions - len(story.versions[-MOST_ROWS:]),
        trends=draw_trends(story),
        checks_shown=len(story.checks),
        checks_left=story.counts.checks - len(story.checks),
        decisions=decisions,
        decisions_left=story.counts.checks - len(decisions),
        facts=tuple(_tell_facts(config, story)),
    )


def summarise_pipeline(story: PipelineStory, where: str, service: str | None) -> str:
    """Say in some lines of Markdown what the page says, *where* it lies, and which *service* shows it."""
    headline, _ = tell_champion(story)
    lines = [headline, *_tell_now(story, spell_decisions(story.checks[-1:]))]
    listed = "\n".join(f"- {_plain(line)}" for line in lines)
    address = f"/reports/{story.pipeline}/"
    shown = (
        f"[The whole page]({service}{address})"
        if service
        else f"The inference service shows the whole page at `{address}`"
    )
    return f"{listed}\n\n{shown}; it lies at `{where}`."


def tell_champion(story: PipelineStory) -> tuple[str, str]:
    """Who serves, and since when; and whether that is good."""
    if story.champion is None or not story.reigns:
        return "There is no champion yet.", QUIET
    reign = story.reigns[-1]
    return f"Version {reign.version} is the champion since {spell_moment(reign.since)} UTC.", GOOD


def _tell_now(story: PipelineStory, decisions: Sequence[Decision]) -> Iterator[str]:
    if story.reigns:
        reign = story.reigns[-1]
        how = "It was promoted" if reign.how == "promoted" else "It was returned to"
        yield f"{how}: {reign.why}" if reign.why else f"{how}."
    if story.rollout:
        yield f"A rollout is under way: {story.rollout}"
    for version in story.awaiting[-3:]:
        yield f"Version {version} awaits approval: evertrain approve {story.pipeline} {version}"
    if decisions:
        last = decisions[0]
        yield f"The last check, as of {last.as_of}: {last.found}; {last.done}"
    else:
        yield "No drift check yet."


def _version_row(version: VersionStory, metric: str | None) -> VersionRow:
    facts = version.facts
    value = None if facts is None or metric is None else facts.metrics.get(metric)
    return VersionRow(
        version=version.version,
        status=spell_status(version.status),
        tone=_TONES.get(version.status, QUIET),
        since=spell_moment(version.standing_at),
        metric="" if value is None else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}",
        rows="" if facts is None else f"{facts.rows:,}",
        why=version.why,
        # A run's page is written before its outcome is.
        page=None if facts is None else f"{version.version}.html",
    )


def _tell_facts(config: PipelineConfig, story: PipelineStory) -> Iterator[tuple[str, str]]:
    drift, counts = config.drift, story.counts
    yield "retrain on", ", ".join(drift.retrain_on) or "nothing"
    yield "confirmed by", f"{drift.confirm.checks} of {drift.confirm.of} checks"
    yield "cooldown", spell_duration(drift.cooldown)
    if config.owner:
        yield "owner", config.owner
    yield (
        "since its first entry",
        f"{spell_count(counts.versions, 'version')}, {spell_count(counts.promotions, 'promotion')}, "
        f"{spell_count(counts.rollbacks, 'rollback')}, {spell_count(counts.checks, 'check')} "
        f"({counts.drifted:,} drifted), {spell_count(counts.retrains, 'retrain')}",
    )
    if story.last_at:
        moment = spell_moment(story.last_at)
        yield (
            "journal",
            f"up to entry {counts.entries:,}, {moment} UTC; each train and check adds to it",
        )


def _plain(line: str) -> str:
    """Text that Markdown takes as it is: what an actor wrote may hold anything."""
    return "".join(f"\\{each}" if each in r"\`*_[]<>|#!" else each for each in " ".join(line.split()))
