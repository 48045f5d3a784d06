"""Owns the words that a pipeline's page spells its moments, counts and standings with."""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {
    "champion": "champion",
    "previous": "champion before",
    "retired": "was champion",
    "rolled_back": "rolled back",
    "rejected": "rollout ended",
    "aborted": "rollout aborted",
    "challenger": "in a rollout",
    "awaiting_approval": "awaits approval",
}


def read_moment(text: str) -> datetime:
    """The moment that *text* spells in ISO 8601, UTC where it has no zone; 1970 where it spells none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return EPOCH
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def spell_moment(text: str) -> str:
    """A day and a minute, in UTC; what is no moment stays as it is, cut."""
    moment = read_moment(text)
    return text[:32] if moment == EPOCH else f"{moment:%Y-%m-%d %H:%M}"


def spell_as_of(text: str) -> str:
    """A day where it is midnight, else a day and a minute, in UTC."""
    return spell_moment(text).removesuffix(" 00:00")


def spell_status(status: str) -> str:
    """Where a version stands, in words."""
    return _STATUSES.get(status, status.replace("_", " "))


def spell_level(level: float | None) -> str:
    """How sure an interval is, in percent; nothing where that isn't told."""
    return "" if level is None else f" at {100 * level:.5g} %"


def spell_count(count: int, what: str) -> str:
    """``1 check``, ``2 checks``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
