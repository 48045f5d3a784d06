"""Owns how a pipeline's page spells its checks: what each found, what was done about it, where to look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evertrain.reports.pipeline_reading import evidently_name
from evertrain.reports.pipeline_story import CheckStory
from evertrain.reports.pipeline_words import spell_as_of, spell_level

_DONE = {
    "none": "nothing",
    "unconfirmed": "nothing: not confirmed yet",
    "cooldown": "nothing: cooling down",
    "already_running": "nothing: a retrain runs already",
}
_FOUND = {"steady": "steady", "drifted": "drifted", "too_little_data": "too little data"}
_ENDED = {"rollout": "rollout begun", "already_running": "gave way to another train"}


class Decision(NamedTuple):
    """A check as a row: tones name classes of the style sheet, ``links`` addresses beside the page."""

    as_of: str
    champion: str
    found: str
    measured: str
    tone: str
    done: str
    done_tone: str
    why: str
    links: tuple[tuple[str, str], ...]


def spell_decisions(checks: Sequence[CheckStory]) -> list[Decision]:
    """Spell *checks*, newest first."""
    return [_spell(each) for each in reversed(checks)]


def _spell(check: CheckStory) -> Decision:
    found = _FOUND.get(check.decision, check.decision)
    by = f" ({', '.join(check.triggers)})" if check.triggers else ""
    done, tone = _spell_done(check)
    return Decision(
        as_of=spell_as_of(check.as_of),
        champion="" if check.champion is None else f"v{check.champion}",
        found=f"{found}{by}",
        measured="; ".join(_spell_measured(check)),
        tone={"steady": "good", "drifted": "bad"}.get(check.decision, "quiet"),
        done=done,
        done_tone=tone,
        why=check.why,
        links=tuple(_spell_links(check)),
    )


def _spell_done(check: CheckStory) -> tuple[str, str]:
    if check.retrain != "started":
        return _DONE.get(check.retrain, check.retrain.replace("_", " ")), "quiet"
    if not check.is_started:
        return "retrain called for", "quiet"
    if check.ended is None:
        return "retrain under way", "quiet"
    if check.ended == "failed":
        return "retrain failed", "bad"
    version = f"v{check.version} " if check.version is not None else ""
    how = _ENDED.get(check.ended, check.ended.replace("_", " "))
    return f"retrained: {version}{how}", "good" if check.ended == "promoted" else "quiet"


def _spell_measured(check: CheckStory) -> Iterator[str]:
    if check.share is not None:
        named = f": {', '.join(check.drifted)}" if check.drifted else ""
        unnamed = check.drifted_count - len(check.drifted)
        more = f" and {unnamed} more" if unnamed else ""
        yield f"{check.share:.0%} of columns drifted{named}{more}"
    if check.performance is not None:
        found = check.performance
        beside = "" if found.holdout is None else f", {found.holdout:.4g} held out"
        yield f"{found.metric} {found.value:.4g}{beside}{': fell by too much' if found.fired else ''}"
    if check.predictions_drifted:
        yield "the model's answers drifted"
    yield from check.alerts
    if check.regret is not None:
        probe = check.regret
        interval = f"{probe.low:+.4f} to {probe.high:+.4f}{spell_level(probe.level)}"
        again = ", not counted as a look" if probe.counted is False else ""
        yield f"a probe gains {probe.gain:+.4f} ({interval}){again}"
    if check.new_labels is not None:
        yield f"{check.new_labels:,} labels are newer than what was learnt from"
    if check.rows is not None:
        yield f"{check.rows:,} rows"


def _spell_links(check: CheckStory) -> Iterator[tuple[str, str]]:
    if check.page is not None:
        yield "check", check.page
        if check.has_evidently:
            yield "Evidently", evidently_name(check.page)
