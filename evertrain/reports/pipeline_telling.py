"""Owns the telling of a pipeline's story: from one entry of its journal to the next; pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeVar

from evertrain.journal import Entry
from evertrain.records import Record
from evertrain.release import PipelineState
from evertrain.reports.pipeline_story import (
    MOST_ALERTS,
    MOST_CHECKS,
    MOST_NAMES,
    MOST_REIGNS,
    MOST_VERSIONS,
    CheckStory,
    Counts,
    PipelineStory,
    Reign,
    VersionStory,
    number_of,
    read_performance,
    read_regret,
    read_rows,
    text_of,
    texts_of,
)

R = TypeVar("R", bound=Record)

_PAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.html")
_NAME_CHARACTERS, _ALERT_CHARACTERS = 80, 200
_WHY_CHARACTERS = 600


@dataclass
class Telling:
    """A story that is being told; its lists forget their oldest.

    Attributes:
        story: What was told before this.
        counts: As the story's, by name.
        reigns: As the story's, and so are the others.
    """

    story: PipelineStory
    counts: dict[str, int] = field(init=False)
    reigns: deque[Reign] = field(init=False)
    versions: dict[int, VersionStory] = field(init=False)
    checks: deque[CheckStory] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = self.story.counts.model_dump()
        self.reigns = deque(self.story.reigns, MOST_REIGNS)
        self.versions = {each.version: each for each in self.story.versions}
        self.checks = deque(self.story.checks, MOST_CHECKS)

    def tell(self, before: PipelineState, entry: Entry, after: PipelineState) -> None:
        """Go on with *entry*, which was legal in the state *before* it and led to the state *after* it."""
        self.counts["entries"] = entry.number
        tell = _TELL.get(entry.kind)
        if tell is not None:
            tell(self, before, entry)
        if after.versions is not before.versions:
            for number, version in after.versions.items():
                self._place(number, version.status, entry)
        if after.champion != before.champion:
            self._crown(entry, after.champion)
        self.story = self.story.model_copy(
            update={
                "last_at": entry.at,
                "champion": after.champion,
                "generation": after.generation,
                "rollout": _spell_rollout(after),
                "awaiting": _awaiting(after),
            }
        )

    def told(self) -> PipelineStory:
        """The story up to the last entry."""
        return self.story.model_copy(
            update={
                "counts": Counts(**self.counts),
                "reigns": tuple(self.reigns),
                "versions": tuple(self.versions.values()),
                "checks": tuple(self.checks),
            }
        )

    def _place(self, number: int, status: str, entry: Entry) -> None:
        known = self.versions.get(number)
        if known is None or known.status == status:
            return
        update: dict[str, object] = {"status": status, "standing_at": entry.at}
        # What befalls a version because another is promoted has that one's reason: its own stays.
        if number in (entry.data.get("version"), entry.data.get("from")):
            update["why"] = entry.reason[:_WHY_CHARACTERS]
        if status == "challenger":
            update["tried_at"] = entry.at
        elif known.status == "challenger":
            update["tried_until"] = entry.at
        self.versions[number] = _with(known, update)

    def _crown(self, entry: Entry, champion: int | None) -> None:
        if self.reigns:
            self.reigns[-1] = _with(self.reigns[-1], {"until": entry.at})
        if champion is None:
            return
        how: Literal["promoted", "rolled_back"] = "rolled_back" if entry.kind == "rolled_back" else "promoted"
        why = entry.reason[:_WHY_CHARACTERS]
        self.reigns.append(Reign(version=champion, since=entry.at, how=how, why=why))
        self.counts["rollbacks" if how == "rolled_back" else "promotions"] += 1


def _tell_registered(telling: Telling, before: PipelineState, entry: Entry) -> None:
    number, run_key = entry.data.get("version"), entry.data.get("run_key")
    if not isinstance(number, int) or not isinstance(run_key, str) or number in before.versions:
        return
    telling.counts["versions"] += 1
    telling.versions[number] = VersionStory(
        version=number, run_key=run_key, registered_at=entry.at, standing_at=entry.at
    )
    while len(telling.versions) > MOST_VERSIONS:
        del telling.versions[next(iter(telling.versions))]
    check = _retraining(telling)
    if check is not None:
        telling.checks[check] = _with(telling.checks[check], {"version": number})


def _tell_checked(telling: Telling, _before: PipelineState, entry: Entry) -> None:
    evidence = entry.data.get("evidence")
    facts = evidence if isinstance(evidence, Mapping) else {}
    drifted, labels = texts_of(facts, "drifted"), number_of(facts, "new_labels")
    champion, generation = number_of(facts, "champion"), number_of(entry.data, "generation")
    check = CheckStory(
        number=entry.number,
        at=entry.at,
        as_of=text_of(entry.data, "as_of"),
        decision=text_of(entry.data, "decision"),
        triggers=texts_of(entry.data, "triggers"),
        retrain=text_of(entry.data, "retrain"),
        why=entry.reason[:_WHY_CHARACTERS],
        champion=None if champion is None else int(champion),
        generation=int(generation or 0),
        share=number_of(facts, "share"),
        max_share=number_of(facts, "max_share"),
        drifted=tuple(name[:_NAME_CHARACTERS] for name in drifted[:MOST_NAMES]),
        drifted_count=len(drifted),
        rows=read_rows(facts),
        performance=read_performance(facts),
        alerts=tuple(alert[:_ALERT_CHARACTERS] for alert in texts_of(facts, "quality")[:MOST_ALERTS]),
        predictions_drifted=facts.get("predictions_drifted") is True,
        new_labels=None if labels is None else int(labels),
        regret=read_regret(facts, entry.data.get("counted")),
        page=_page_of(text_of(facts, "report")),
    )
    telling.checks.append(check)
    telling.counts["checks"] += 1
    telling.counts["drifted"] += check.decision == "drifted"


def _tell_retrain_started(telling: Telling, _before: PipelineState, entry: Entry) -> None:
    telling.counts["retrains"] += 1
    as_of = text_of(entry.data, "as_of")
    for place, check in enumerate(telling.checks):
        if (check.as_of, check.retrain, check.is_started) == (as_of, "started", False):
            telling.checks[place] = _with(check, {"is_started": True})
            return


def _tell_retrain_ended(telling: Telling, _before: PipelineState, entry: Entry) -> None:
    place = _retraining(telling)
    if place is not None:
        why = entry.reason or telling.checks[place].why
        ended = {"ended": text_of(entry.data, "decision"), "why": why[:_WHY_CHARACTERS]}
        telling.checks[place] = _with(telling.checks[place], ended)


_TELL: Mapping[str, Callable[[Telling, PipelineState, Entry], None]] = MappingProxyType(
    {
        "registered": _tell_registered,
        "checked": _tell_checked,
        "retrain_started": _tell_retrain_started,
        "retrain_ended": _tell_retrain_ended,
    }
)


def _retraining(telling: Telling) -> int | None:
    """The place of the check whose retrain began last and hasn't ended."""
    started = [place for place, check in enumerate(telling.checks) if check.is_started]
    return started[-1] if started and telling.checks[started[-1]].ended is None else None


def _page_of(report: str) -> str | None:
    name = report.rpartition("/")[2]
    return name if _PAGE.fullmatch(name) else None


def _spell_rollout(state: PipelineState) -> str | None:
    rollout = state.rollout
    if rollout is None:
        return None
    paused = f", paused: {rollout.paused.replace('_', ' ')}" if rollout.paused else ""
    return f"version {rollout.version} answers {rollout.percent:g} % of requests ({rollout.kind}{paused})"


def _awaiting(state: PipelineState) -> tuple[int, ...]:
    return tuple(each.version for each in state.versions.values() if each.status == "awaiting_approval")


def _with(record: R, update: Mapping[str, object]) -> R:
    return record.model_copy(update=dict(update))
