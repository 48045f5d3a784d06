"""Owns the retraining policy: from what the checks found to what is done about it; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from evertrain.config import DriftConfig
from evertrain.drift_records import PastCheck, PastRetrains, RetrainAction
from evertrain.durations import spell_duration

YEAR = timedelta(days=365)
REGRET, AGE = "regret", "age"


class Action(NamedTuple):
    """What a check does about its finding, why, and whether it counts as a look at regret."""

    name: RetrainAction
    reason: str
    counted: bool = False


def decide_action(
    config: DriftConfig,
    check: PastCheck,
    earlier: Sequence[PastCheck],
    *,
    generation: int,
    retrained_as_of: str | None,
    may_retrain: bool = True,
    past: PastRetrains | None = None,
) -> Action:
    """Decide whether *check* starts a retrain.

    Args:
        config: The policy.
        check: This check; its ``triggers`` are those of ``retrain_on`` that fired, and ``age``. ``counted``
            is True only where it is asked for again and has counted before.
        earlier: The checks before it, oldest first.
        generation: Whose champion serves now.
        retrained_as_of: As-of of the last retrain that a check started and that came to a decision.
        may_retrain: False: the caller only wants to know.
        past: All such retrains, for ``budget`` and ``rearm``; None: there were none.

    Returns:
        ``started`` where a retrain shall start; it is yet to be claimed.
    """
    past = past or PastRetrains()
    counted = may_retrain and check.generation == generation and counts_as_look(config, check, earlier)
    objection = _object(check, generation=generation, may_retrain=may_retrain)
    if objection is None:
        looked = check.model_copy(update={"counted": counted})
        called = has_called(check, earlier, retrained_as_of)
        causes = tuple(
            name
            for name in check.triggers
            if (name != REGRET or counted or called) and not _is_answered(config, check, name, past.answered)
        )
        asked = _Asked(config, looked, tuple(earlier), causes, retrained_as_of, past)
        objection = next(_hold_back(asked), None)
        if objection is None:
            return Action("started", _spell_causes(config, causes), counted)
    name, why = objection
    return Action(name, f"did nothing, because {why}", counted)


class _Asked(NamedTuple):
    """What the policy is asked with; ``causes`` are those that a retrain may answer."""

    config: DriftConfig
    check: PastCheck
    earlier: tuple[PastCheck, ...]
    causes: tuple[str, ...]
    retrained_as_of: str | None
    past: PastRetrains


Objection = tuple[RetrainAction, str]


def _object(check: PastCheck, *, generation: int, may_retrain: bool) -> Objection | None:
    if not check.triggers:
        return "none", "nothing that retrain_on names has fired"
    if not may_retrain:
        return "none", "a retrain was not wanted"
    if check.generation != generation:
        return "none", "the champion changed while it was checked"
    return None


def _hold_back(asked: _Asked) -> Iterator[Objection]:
    """Give what speaks against a retrain, the first to be told first."""
    if not asked.causes:
        yield from _cooldown(asked)
        yield _tell_no_cause(asked)
    yield from _confirmation(asked)
    wanted, found = asked.config.min_new_labels, asked.check.new_labels
    if wanted and (found or 0) < wanted:
        yield "unconfirmed", f"{found or 0:,} labelled rows are new, min_new_labels is {wanted:,}"
    yield from _cooldown(asked)
    yield from _budget(asked)


def has_called(check: PastCheck, earlier: Sequence[PastCheck], retrained_as_of: str | None) -> bool:
    """Whether the last look that counted called for a retrain that came to nothing: killed, or failed.

    Such a look stands: the next check tries again, without being one itself.
    """
    looks = _looks_before(check, earlier)
    if not looks or not looks[-1].called or REGRET not in looks[-1].triggers:
        return False
    answered = retrained_as_of and datetime.fromisoformat(retrained_as_of)
    return not answered or answered < datetime.fromisoformat(looks[-1].as_of)


def counts_as_look(config: DriftConfig, check: PastCheck, earlier: Sequence[PastCheck]) -> bool:
    """Whether *check*, if it may retrain, counts as a look at regret: half of its window is new, at least.

    The first look at a champion counts.
    """
    if check.counted:
        return True
    if REGRET not in check.sizes and REGRET not in check.triggers:
        return False
    due = next_look(config, check, earlier)
    return due is None or datetime.fromisoformat(check.as_of) >= due


def next_look(config: DriftConfig, check: PastCheck, earlier: Sequence[PastCheck]) -> datetime | None:
    """Give the as-of from which on a look at *check*'s champion counts; None where the first is to come."""
    looks = [datetime.fromisoformat(each.as_of) for each in _looks_before(check, earlier)]
    return max(looks) + config.current.window / 2 if looks else None


def looks_a_year(config: DriftConfig) -> int:
    """Say how many looks at regret can count in a year: one each half ``current.window``, at least one."""
    return max(1, math.ceil(YEAR / (config.current.window / 2)))


def look_level(confidence: float, looks: int) -> float:
    """Give the two-sided confidence of one look, of *looks* that together have *confidence*.

    Each may err in (1 - confidence) / looks: Bonferroni's inequality, which asks nothing of how the looks
    depend on each other; those of overlapping windows do.
    """
    return 1 - (1 - confidence) / looks


def is_too_old(config: DriftConfig, as_of: datetime, known_until: datetime | None) -> bool:
    """Whether the trigger ``age`` fires: what is known, or the last retrain knew, is over ``max_age`` old."""
    return config.max_age is not None and known_until is not None and as_of - known_until > config.max_age


def remember(check: PastCheck, action: Action) -> PastCheck:
    """Give *check* as later ones are to see it."""
    return check.model_copy(update={"counted": action.counted, "called": action.name == "started"})


def count_agreeing(config: DriftConfig, check: PastCheck, earlier: Sequence[PastCheck]) -> tuple[int, int]:
    """Count the checks that fired among the last ``confirm.of``, this one among them, and those looked at.

    Only checks of the same champion count, and one a point in time: looking twice at the same data is no
    second opinion. So regret counts where its look did. Age is no finding.
    """
    same = [each for each in earlier if each.generation == check.generation]
    shown = {each.as_of for each in same if each.counted and REGRET in each.triggers}
    by_time = {each.as_of: bool({*each.triggers} - {REGRET, AGE}) or each.as_of in shown for each in same}
    by_time.pop(check.as_of, None)
    fired = [*_newest(list(by_time.values()), config.confirm.of - 1), True]
    return sum(fired), len(fired)


def _count_looks(asked: _Asked) -> tuple[int, int]:
    """Count, of the last ``confirm.of`` looks that counted, those at which regret fired, and all."""
    looks = {each.as_of: REGRET in each.triggers for each in _looks_before(asked.check, asked.earlier)}
    if asked.check.counted:
        looks.pop(asked.check.as_of, None)
        looks[asked.check.as_of] = REGRET in asked.check.triggers
    fired = _newest(list(looks.values()), asked.config.confirm.of)
    return sum(fired), len(fired)


def _confirmation(asked: _Asked) -> Iterator[Objection]:
    if AGE in asked.causes:
        return
    needed = asked.config.confirm.checks
    agreeing, looked_at = count_agreeing(asked.config, asked.check, asked.earlier)
    if REGRET in asked.causes and agreeing < needed:
        agreeing, looked_at = max((agreeing, looked_at), _count_looks(asked))
    if agreeing < needed:
        yield "unconfirmed", f"{agreeing} of the last {looked_at} checks fired, {needed} must"


def _cooldown(asked: _Asked) -> Iterator[Objection]:
    if asked.retrained_as_of is None:
        return
    cooldown = asked.config.cooldown
    passed = datetime.fromisoformat(asked.check.as_of) - datetime.fromisoformat(asked.retrained_as_of)
    # Without a cooldown too, the very same moment has nothing new to learn from.
    if passed < cooldown or not passed:
        wait = spell_duration(cooldown)
        yield "cooldown", f"the last retrain saw data up to {asked.retrained_as_of}; {wait} must pass"


def _budget(asked: _Asked) -> Iterator[Objection]:
    budget = asked.config.budget
    if budget is None:
        return
    as_of = datetime.fromisoformat(asked.check.as_of)
    spent = sorted(datetime.fromisoformat(each) for each in asked.past.as_of)
    spent = [each for each in spent if each > as_of - budget.per]
    if len(spent) >= budget.retrains:
        free = spent[len(spent) - budget.retrains] + budget.per
        per = spell_duration(budget.per)
        told = f"the budget of {budget.retrains} in {per} is spent until {free.isoformat()}"
        yield "cooldown", told


def _tell_no_cause(asked: _Asked) -> Objection:
    config, check, answered = asked.config, asked.check, asked.past.answered
    kept = [name for name in check.triggers if _is_answered(config, check, name, answered)]
    if kept and config.rearm is not None:
        told = " and ".join(f"{name} at {answered[name]:.4g}" for name in kept)
        times = f"{1 + config.rearm.growth:g} times as large"
        return "cooldown", f"a retrain has answered {told}, which was neither gone since then nor is {times}"
    due = next_look(config, check, asked.earlier)
    assert due is not None
    seen = "over half of what this look at regret saw was seen by the last that counted"
    return "unconfirmed", f"{seen}; the next one counts as of {due.isoformat()} or later"


def _is_answered(config: DriftConfig, check: PastCheck, name: str, answered: Mapping[str, float]) -> bool:
    if config.rearm is None or name not in answered:
        return False
    return check.sizes.get(name, 0.0) < answered[name] * (1 + config.rearm.growth)


def _spell_causes(config: DriftConfig, causes: Sequence[str]) -> str:
    found = " and ".join(name for name in causes if name != AGE)
    parts = [f"{found} fired"] if found else []
    if AGE in causes and config.max_age is not None:
        parts.append(f"what the champion knows is over {spell_duration(config.max_age)} old")
    return "; ".join(parts)


def _looks_before(check: PastCheck, earlier: Sequence[PastCheck]) -> list[PastCheck]:
    return [each for each in earlier if each.counted and each.generation == check.generation]


def _newest(values: list[bool], count: int) -> list[bool]:
    return values[max(0, len(values) - count) :]
