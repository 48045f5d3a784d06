"""Owns the lineage of a pipeline's page: who came, served, was tried, held and left, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from evertrain.reports.pipeline_plots import Lane, Span, lineage_svg
from evertrain.reports.pipeline_story import PipelineStory, VersionStory
from evertrain.reports.pipeline_words import read_moment, spell_moment, spell_status

MOST_LANES = 16
_ENDED = frozenset({"held", "rejected", "aborted"})


def draw_lineage(story: PipelineStory) -> str:
    """Draw the newest versions over the journal's time, the newest on top; empty where there is none."""
    if not story.versions or story.last_at is None:
        return ""
    shown = story.versions[-MOST_LANES:]
    start, end = read_moment(shown[0].registered_at), read_moment(story.last_at)
    lanes = [
        Lane(f"v{each.version}", tuple(_spans(story, each, end)), tuple(_signs(story, each)))
        for each in reversed(shown)
    ]
    label = f"Lineage of {story.pipeline}: {len(shown)} versions, version {story.champion or 'none'} serves"
    return lineage_svg(lanes, start, end, label)


def _spans(story: PipelineStory, version: VersionStory, end: datetime) -> Iterator[Span]:
    if version.tried_at is not None:
        until = end if version.tried_until is None else read_moment(version.tried_until)
        told = f"v{version.version} in a rollout from {spell_moment(version.tried_at)}"
        yield Span(read_moment(version.tried_at), until, served=False, told=told)
    for reign in story.reigns:
        if reign.version == version.version:
            until = end if reign.until is None else read_moment(reign.until)
            lasting = "now" if reign.until is None else spell_moment(reign.until)
            told = f"v{version.version} served from {spell_moment(reign.since)} to {lasting}"
            yield Span(read_moment(reign.since), until, served=True, told=told)


def _signs(story: PipelineStory, version: VersionStory) -> Iterator[tuple[datetime, str, str]]:
    named = f"v{version.version}"
    came = version.registered_at
    yield read_moment(came), "ring", f"{named} registered {spell_moment(came)}"
    if version.status in _ENDED:
        told = f"{named} {spell_status(version.status)} {spell_moment(version.standing_at)}"
        yield read_moment(version.standing_at), "cross", told
    for reign, after in pairwise(story.reigns):
        if reign.version == version.version and after.how == "rolled_back" and reign.until is not None:
            told = f"{named} rolled back to v{after.version} {spell_moment(reign.until)}"
            yield read_moment(reign.until), "back", told
