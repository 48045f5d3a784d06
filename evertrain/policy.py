"""Owns the retraining policy: from what the checks found to what is done about it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from evertrain.config import DriftConfig
from evertrain.drift_records import PastCheck, RetrainAction
from evertrain.durations import spell_duration


class Action(NamedTuple):
    """What a check does about its finding, and why."""

    name: RetrainAction
    reason: str


def decide_action(
    config: DriftConfig,
    check: PastCheck,
    earlier: Sequence[PastCheck],
    *,
    generation: int,
    retrained_as_of: str | None,
    may_retrain: bool = True,
) -> Action:
    """Decide whether *check* starts a retrain.

    Args:
        config: The policy: confirmation and cooldown.
        check: This check; its ``triggers`` are those of ``retrain_on`` that fired.
        earlier: The checks before it, oldest first.
        generation: Whose champion serves now.
        retrained_as_of: As-of of the last retrain that a check started and that came to a decision.
        may_retrain: False: the caller only wants to know.

    Returns:
        ``started`` where a retrain shall start; it is yet to be claimed.
    """
    if not check.triggers:
        return Action("none", "nothing that retrain_on names has fired")
    if not may_retrain:
        return Action("none", "a retrain was not wanted")
    if check.generation != generation:
        return Action("none", "the champion changed while it was checked")
    agreeing, looked_at = count_agreeing(config, check, earlier)
    if agreeing < config.confirm.checks:
        told = f"{agreeing} of the last {looked_at} checks fired, {config.confirm.checks} must"
        return Action("unconfirmed", told)
    if retrained_as_of is not None:
        passed = datetime.fromisoformat(check.as_of) - datetime.fromisoformat(retrained_as_of)
        # Without a cooldown too, the very same moment has nothing new to learn from.
        if passed < config.cooldown or not passed:
            wait = spell_duration(config.cooldown)
            return Action("cooldown", f"the last retrain saw data up to {retrained_as_of}; {wait} must pass")
    return Action("started", f"{' and '.join(check.triggers)} fired")


def count_agreeing(config: DriftConfig, check: PastCheck, earlier: Sequence[PastCheck]) -> tuple[int, int]:
    """Count the checks that fired among the last ``confirm.of``, this one among them, and those looked at.

    Only checks of the same champion count, and one a point in time: looking twice at the same data is no
    second opinion.
    """
    by_time = {each.as_of: bool(each.triggers) for each in earlier if each.generation == check.generation}
    by_time.pop(check.as_of, None)
    before = list(by_time.values())
    fired = [*before[max(0, len(before) + 1 - config.confirm.of) :], True]
    return sum(fired), len(fired)
