"""Tests of what holds a retrain back beyond confirmation and cooldown: budget, labels, age, one cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertrain.config import BudgetConfig, ConfirmConfig, DriftConfig, RearmConfig
from evertrain.drift_records import MOST_CHECKS, PastCheck, PastRetrains
from evertrain.policy import Action, decide_action, is_too_old, remember

START = datetime(2013, 5, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def moment(days: float) -> str:
    return (START + DAY * days).isoformat()


def check(days: float, *triggers: str, size: float = 0.5, new_labels: int | None = None) -> PastCheck:
    """A check that measured how much data drifted."""
    return PastCheck(
        as_of=moment(days), generation=1, triggers=triggers, sizes={"data": size}, new_labels=new_labels
    )


def decide(
    config: DriftConfig, now: PastCheck, *retrained: float, answered: Mapping[str, float] = {}
) -> Action:
    past = PastRetrains(as_of=tuple(map(moment, retrained)), answered=dict(answered))
    last = past.as_of[-1] if retrained else None
    return decide_action(config, now, [], generation=1, retrained_as_of=last, past=past)


def test_a_budget_is_spent_and_comes_back() -> None:
    """Two retrains in ten days; the third waits until the first is ten days past, and says so."""
    config = DriftConfig(budget=BudgetConfig(retrains=2, per="10d"))
    assert decide(config, check(5, "data"), 0).name == "started"
    held = decide(config, check(7, "data"), 0, 5)
    assert held.name == "cooldown"
    assert held.reason == (
        "did nothing, because the budget of 2 in 10d is spent until 2013-05-11T00:00:00+00:00"
    )
    assert decide(config, check(9.9, "data"), 0, 5).name == "cooldown"
    assert decide(config, check(10, "data"), 0, 5).name == "started"


def test_without_a_budget_any_number_may_be() -> None:
    """The contract knows no budget unless the YAML names one."""
    assert decide(DriftConfig(), check(100, "data"), *range(99)).name == "started"


@pytest.mark.parametrize(
    ("found", "expected"), [(None, "unconfirmed"), (99, "unconfirmed"), (100, "started")]
)
def test_too_few_new_labels_start_nothing(found: int | None, expected: str) -> None:
    """There is nothing to learn from that wasn't learnt from already."""
    action = decide(DriftConfig(min_new_labels=100), check(0, "data", new_labels=found))
    assert action.name == expected
    assert expected == "started" or action.reason.endswith("labelled rows are new, min_new_labels is 100")


def test_age_needs_no_confirmation() -> None:
    """It can't be an accident; the cooldown holds for it as for all."""
    config = DriftConfig(confirm=ConfirmConfig(checks=2, of=3), max_age="30d")
    action = decide(config, check(0, "age"))
    assert (action.name, action.reason) == ("started", "what the champion knows is over 30d old")
    assert decide(config, check(0.5, "age"), 0).name == "cooldown"
    assert decide(config, check(0, "data", "age")).reason == "data fired; " + action.reason


def test_age_confirms_nothing_else() -> None:
    """That a champion was old is no finding about the data."""
    config = DriftConfig(confirm=ConfirmConfig(checks=2, of=3))
    action = decide_action(config, check(1, "data"), [check(0, "age")], generation=1, retrained_as_of=None)
    assert action.name == "unconfirmed"


@pytest.mark.parametrize(("days", "expected"), [(29, False), (30, False), (30.1, True)])
def test_a_champion_is_too_old_once_it_is_older_than_it_may_be(days: float, expected: bool) -> None:
    """At its maximum age it may still serve; what nobody knows the age of isn't too old."""
    config = DriftConfig(max_age="30d")
    assert is_too_old(config, START + DAY * days, START) is expected
    assert not is_too_old(config, START + DAY * days, None)
    assert not is_too_old(DriftConfig(), START + DAY * 10_000, START)


def test_a_cause_that_was_answered_is_left_until_it_has_grown() -> None:
    """At most one retrain for one cause: drift that stays as it was isn't news."""
    config = DriftConfig(rearm=RearmConfig(growth=0.5))
    assert decide(config, check(5, "data", size=0.4)).name == "started"
    held = decide(config, check(5, "data", size=0.59), 0, answered={"data": 0.4})
    assert held.name == "cooldown"
    assert held.reason == (
        "did nothing, because a retrain has answered data at 0.4, which was neither gone since then nor is "
        "1.5 times as large"
    )
    assert decide(config, check(5, "data", size=0.61), 0, answered={"data": 0.4}).name == "started"
    assert decide(DriftConfig(), check(5, "data", size=0.4), 0, answered={"data": 0.4}).name == "started"


def test_another_cause_is_answered_even_so() -> None:
    """What was answered is the cause, not the pipeline."""
    config = DriftConfig(rearm=RearmConfig(growth=0.5))
    action = decide(config, check(5, "data", "performance"), 0, answered={"data": 0.5})
    assert (action.name, action.reason) == ("started", "performance fired")


def test_a_check_that_finds_a_cause_gone_arms_it_anew() -> None:
    """Only what was measured can be found gone; a retrain answers what called for it."""
    past = PastRetrains().with_retrain(moment(0), {"data": 0.4, "performance": 0.1})
    assert past.with_check(check(1, "data")).answered == {"data": 0.4, "performance": 0.1}
    assert past.with_check(check(1)).answered == {"performance": 0.1}
    again = past.with_retrain(moment(2), {"data": 0.7})
    assert (again.as_of, again.answered["data"]) == ((moment(0), moment(2)), 0.7)


def test_a_hundred_retrains_are_remembered() -> None:
    """A budget counts no more than that; a journal of years has a state of bounded size."""
    past = PastRetrains()
    for day in range(120):
        past = past.with_retrain(moment(day), {})
    assert past.as_of == tuple(map(moment, range(20, 120)))


def live(config: DriftConfig, scores: list[float], threshold: float, every: timedelta) -> list[datetime]:
    """Check again and again, each retrain held; give the as-of of each retrain."""
    earlier: list[PastCheck] = []
    past, started = PastRetrains(), []
    for number, score in enumerate(scores):
        now = check(number * (every / DAY), *(["data"] if score > threshold else []), size=score)
        past = past.with_check(now)
        last = past.as_of[-1] if past.as_of else None
        action = decide_action(config, now, earlier, generation=1, retrained_as_of=last, past=past)
        earlier = [*earlier, remember(now, action)][-MOST_CHECKS:]
        if action.name == "started":
            past = past.with_retrain(now.as_of, now.causes)
            started.append(datetime.fromisoformat(now.as_of))
    return started


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cooldown_hours=st.integers(1, 24 * 20))
def test_a_score_about_its_threshold_retrains_once_a_cooldown(seed: int, cooldown_hours: int) -> None:
    """A thousand hourly checks within 5 % of the threshold: two retrains lie a cooldown apart (D7)."""
    import numpy as np

    scores = (0.3 * np.random.default_rng(seed).uniform(0.95, 1.05, 1_000)).tolist()
    started = live(DriftConfig(cooldown=HOUR * cooldown_hours), scores, 0.3, HOUR)
    gaps = [later - first for first, later in pairwise(started)]
    assert all(gap >= HOUR * cooldown_hours for gap in gaps)
    assert 1 <= len(started) <= 1 + 999 // cooldown_hours
    rearmed = DriftConfig(cooldown=HOUR * cooldown_hours, rearm=RearmConfig(growth=0.2))
    assert len(live(rearmed, [0.31] * 1_000, 0.3, HOUR)) == 1


@settings(max_examples=6, deadline=None)
@given(period=st.sampled_from([24, 168]), phase=st.integers(0, 167), height=st.floats(0.01, 0.9))
def test_a_cycle_retrains_nothing_where_a_whole_one_must_agree(
    period: int, phase: int, height: float
) -> None:
    """Hourly checks of a score with a day's or a week's cycle, confirmed over all of it: none of it (D7)."""
    import numpy as np

    hours = np.arange(1_000) + phase
    scores = (0.3 + height * np.sin(2 * np.pi * hours / period)).tolist()
    confirmed = DriftConfig(confirm=ConfirmConfig(checks=period, of=period), cooldown=HOUR)
    assert live(confirmed, scores, 0.3, HOUR) == []
    assert live(DriftConfig(cooldown=HOUR), scores, 0.3, HOUR) != []
    assert live(confirmed, [0.4] * period, 0.3, HOUR) == [START + HOUR * (period - 1)]
