"""Tests of the retraining policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.config import ConfirmConfig, DriftConfig
from evertrain.drift_records import PastCheck
from evertrain.policy import Action, count_agreeing, decide_action

START = datetime(2013, 5, 1, tzinfo=UTC)


def check(day: int, *triggers: str, generation: int = 1) -> PastCheck:
    moment = START + timedelta(days=day)
    return PastCheck(as_of=moment.isoformat(), generation=generation, triggers=triggers)


def policy(checks: int = 1, of: int = 1, cooldown_hours: int = 24) -> DriftConfig:
    return DriftConfig(confirm=ConfirmConfig(checks=checks, of=of), cooldown=timedelta(hours=cooldown_hours))


def decide(config: DriftConfig, now: PastCheck, *earlier: PastCheck, **facts: object) -> Action:
    known = {"generation": 1, "retrained_as_of": None, **facts}
    return decide_action(config, now, earlier, **known)


def test_a_check_in_which_nothing_fired_starts_nothing() -> None:
    """Without a trigger there is nothing to do."""
    assert decide(policy(), check(0)).name == "none"


def test_a_trigger_starts_a_retrain_at_once_by_default() -> None:
    """One check of one is enough unless the YAML says otherwise; the reason names what fired."""
    action = decide(policy(), check(0, "data", "regret"))
    assert action.name == "started"
    assert action.reason == "data and regret fired"


@pytest.mark.parametrize(
    "action",
    [
        lambda: decide(policy(), check(0)),
        lambda: decide(policy(), check(0, "data"), may_retrain=False),
        lambda: decide(policy(), check(0, "data"), generation=2),
        lambda: decide(policy(2, 2), check(0, "data")),
        lambda: decide(policy(), check(0, "data"), retrained_as_of=check(0).as_of),
    ],
)
def test_what_does_nothing_says_why(action: Callable[[], Action]) -> None:
    """A reason in the journal reads as a sentence, whatever held the retrain back."""
    assert re.fullmatch(r"did nothing, because \w.{20,}[^.]", action().reason)


def test_a_caller_may_only_look() -> None:
    """``--no-retrain`` starts nothing, whatever fired."""
    assert decide(policy(), check(0, "data"), may_retrain=False).name == "none"


def test_a_check_of_a_champion_that_has_gone_starts_nothing() -> None:
    """A check in flight while the champion changed says nothing about the new one (D10)."""
    action = decide(policy(), check(0, "data"), generation=2)
    assert action.name == "none"
    assert "champion changed" in action.reason


def test_two_of_three_wait_for_the_second_that_fires() -> None:
    """The first that fires is unconfirmed; a second within the last three starts the retrain."""
    two_of_three = policy(2, 3)
    first = check(0, "data")
    assert decide(two_of_three, first).name == "unconfirmed"
    assert decide(two_of_three, check(2, "data"), first, check(1)).name == "started"
    assert decide(two_of_three, check(3, "data"), first, check(1), check(2)).name == "unconfirmed"


def test_the_same_moment_is_no_second_opinion() -> None:
    """Looking again at the same as-of confirms nothing."""
    same = check(0, "data")
    action = decide(policy(2, 2), same, same, same)
    assert action.name == "unconfirmed"
    assert "1 of the last 1" in action.reason


def test_checks_of_an_earlier_champion_confirm_nothing() -> None:
    """What was found against another champion says nothing of this one."""
    earlier = check(0, "data", generation=0)
    assert decide(policy(2, 2), check(1, "data"), earlier).name == "unconfirmed"


@pytest.mark.parametrize(("hours", "expected"), [(0, "cooldown"), (23, "cooldown"), (24, "started")])
def test_cooldown_counts_in_as_of_time(hours: int, expected: str) -> None:
    """Between the as-of of the last retrain and this check's as-of the cooldown must have passed."""
    before = (START - timedelta(hours=hours)).isoformat()
    assert decide(policy(), check(0, "data"), retrained_as_of=before).name == expected


def test_one_moment_is_retrained_on_once_even_without_a_cooldown() -> None:
    """Checks at once of the same data start one retrain, whatever the policy."""
    assert (
        decide(policy(cooldown_hours=0), check(0, "data"), retrained_as_of=check(0).as_of).name == "cooldown"
    )
    assert (
        decide(policy(cooldown_hours=0), check(1, "data"), retrained_as_of=check(0).as_of).name == "started"
    )


def test_a_check_of_older_data_than_the_last_retrain_saw_starts_nothing() -> None:
    """A replay of the past doesn't undo the cooldown."""
    later = (START + timedelta(days=30)).isoformat()
    assert decide(policy(), check(0, "data"), retrained_as_of=later).name == "cooldown"


@given(
    fired=st.lists(st.booleans(), max_size=8),
    of=st.integers(1, 6),
)
def test_as_many_agree_as_fired_among_the_last(fired: list[bool], of: int) -> None:
    """The count is of the last ``of`` checks, this one among them."""
    earlier = [check(day, *(["data"] if each else [])) for day, each in enumerate(fired)]
    now = check(len(fired), "data")
    recent = [*fired, True][-of:]
    assert count_agreeing(policy(1, of), now, earlier) == (sum(recent), len(recent))


@given(scores=st.lists(st.booleans(), min_size=1, max_size=200), cooldown_days=st.integers(1, 20))
def test_an_oscillating_finding_retrains_once_a_cooldown(scores: list[bool], cooldown_days: int) -> None:
    """However often the finding flips, two retrains are at least a cooldown apart (D7)."""
    config = policy(cooldown_hours=24 * cooldown_days)
    earlier: list[PastCheck] = []
    retrained: list[int] = []
    for day, fires in enumerate(scores):
        now = check(day, *(["data"] if fires else []))
        last = check(retrained[-1]).as_of if retrained else None
        if decide_action(config, now, earlier, generation=1, retrained_as_of=last).name == "started":
            retrained.append(day)
        earlier.append(now)
    gaps = [after - before for before, after in pairwise(retrained)]
    assert all(gap >= cooldown_days for gap in gaps)
    assert bool(retrained) == any(scores)
