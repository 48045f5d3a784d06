"""Owns a pipeline's story as its page tells it: champions, versions and checks, bounded, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from evertrain.records import Record

MOST_CHECKS = 200
MOST_VERSIONS = 100
MOST_REIGNS = 100
MOST_NAMES, MOST_ALERTS = 8, 3
"""So many drifted columns of a check are named, the others counted; so many alerts are told."""


class Reign(Record):
    """A version's time as champion; times are the journal's (ISO 8601, UTC), ``until`` None if it lasts."""

    version: int
    since: str
    until: str | None = None
    how: Literal["promoted", "rolled_back"]
    why: str = ""


class VersionFacts(Record):
    """What a run's outcome says of its version: metrics on its own held-out rows, counts of rows."""

    metrics: Mapping[str, float] = {}
    rows: int
    unlabelled: int = 0
    quarantined: int = 0


class VersionStory(Record):
    """One version: when it came, where it stands, why where it doesn't serve.

    Attributes:
        run_key: Its run, whose outcome has its ``facts``; None until that is written.
        standing_at: When it came to ``status``.
        tried_at: When its rollout began, if it had one; ``tried_until`` when that ended.
    """

    version: int
    run_key: str
    registered_at: str
    status: str = "registered"
    standing_at: str
    why: str = ""
    tried_at: str | None = None
    tried_until: str | None = None
    facts: VersionFacts | None = None


class LabelMetric(Record):
    """The champion's metric on newly labelled rows; ``holdout`` is what it reached on its own.

    ``fired``: it fell by more than may, whether or not that starts anything.
    """

    metric: str
    value: float
    holdout: float | None = None
    fired: bool = False


class RegretSeen(Record):
    """What a probe would have won over the champion, with its interval at ``level`` (a share, if told).

    ``counted``: whether the check was a look that the yearly error budget pays for; None where nobody said.
    """

    metric: str
    gain: float
    low: float
    high: float
    min_gain: float | None = None
    fired: bool = False
    level: float | None = None
    counted: bool | None = None


class CheckStory(Record):
    """One drift check as the journal tells it; what it didn't measure is None.

    Attributes:
        number: Its entry in the journal.
        at: When it was written; ``as_of`` is what time it looked at (both ISO 8601, UTC).
        retrain: What the policy said; ``ended`` what the retrain that it started came to.
        version: The version that this retrain made.
        drifted: Some of the columns that drifted; ``drifted_count`` counts all.
        alerts: What is wrong with the rows' values, in words; ``predictions_drifted``: its answers did.
        new_labels: How many labelled rows are newer than what was learnt from.
        page: The file name of the check's own page; ``has_evidently`` whether Evidently's lies beside it.
    """

    number: int
    at: str
    as_of: str
    decision: str
    triggers: tuple[str, ...] = ()
    retrain: str
    why: str = ""
    is_started: bool = False
    ended: str | None = None
    version: int | None = None
    champion: int | None = None
    generation: int
    share: float | None = None
    max_share: float | None = None
    drifted: tuple[str, ...] = ()
    drifted_count: int = 0
    rows: int | None = None
    alerts: tuple[str, ...] = ()
    predictions_drifted: bool = False
    new_labels: int | None = None
    performance: LabelMetric | None = None
    regret: RegretSeen | None = None
    page: str | None = None
    has_evidently: bool = False


class Counts(Record):
    """How often what has happened since the journal began."""

    entries: int = 0
    checks: int = 0
    drifted: int = 0
    retrains: int = 0
    versions: int = 0
    promotions: int = 0
    rollbacks: int = 0


class PipelineStory(Record):
    """A pipeline after its journal's entries; lists are oldest first and hold the newest of each kind.

    Attributes:
        last_at: When the last entry was written; None in an empty journal.
        rollout: What is under way, in words; None where nothing is.
        awaiting: The versions that await a person's approval.
    """

    pipeline: str
    counts: Counts = Counts()
    last_at: str | None = None
    champion: int | None = None
    generation: int = 0
    rollout: str | None = None
    awaiting: tuple[int, ...] = ()
    reigns: tuple[Reign, ...] = Field(default=(), max_length=MOST_REIGNS)
    versions: tuple[VersionStory, ...] = Field(default=(), max_length=MOST_VERSIONS)
    checks: tuple[CheckStory, ...] = Field(default=(), max_length=MOST_CHECKS)


def read_performance(evidence: Mapping[str, Any]) -> LabelMetric | None:
    """The champion's metric on new labels: as it was measured, else beside a probe; None where it wasn't."""
    found, probe = _mapping(evidence, "performance"), _mapping(evidence, "regret")
    value, holdout = number_of(found, "value"), number_of(found, "holdout")
    if value is None:
        found, value, holdout = probe, number_of(probe, "champion"), None
    if value is None:
        return None
    fired = holdout is not None and found.get("fired") is True
    return LabelMetric(metric=text_of(found, "metric"), value=value, holdout=holdout, fired=fired)


def read_regret(evidence: Mapping[str, Any], counted: object = None) -> RegretSeen | None:
    """The probe's gain, and whether it *counted*; None where none was tried, or told in another way."""
    found = _mapping(evidence, "regret")
    gain, low, high = (number_of(found, name) for name in ("gain", "low", "high"))
    if gain is None or low is None or high is None:
        return None
    bar = number_of(found, "min_gain")
    fired = found.get("fired") is True
    return RegretSeen(
        metric=text_of(found, "metric"),
        gain=gain,
        low=low,
        high=high,
        min_gain=bar,
        fired=fired,
        level=number_of(found, "level"),
        counted=counted if isinstance(counted, bool) else None,
    )


def read_rows(evidence: Mapping[str, Any]) -> int | None:
    """How many of the newest rows a check looked at."""
    rows = number_of(_mapping(evidence, "rows"), "current")
    return None if rows is None else int(rows)


def texts_of(facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts under *name*; none where it isn't a list."""
    found = facts.get(name)
    return tuple(str(each) for each in found) if isinstance(found, list | tuple) else ()


def number_of(facts: Mapping[str, Any], name: str) -> float | None:
    """The number under *name*; None where there is none."""
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_of(facts: Mapping[str, Any], name: str) -> str:
    """The text under *name*, cut to what a page bears; "" where there is none."""
    value = facts.get(name)
    return value[:600] if isinstance(value, str) else ""


def _mapping(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, Mapping) else {}
