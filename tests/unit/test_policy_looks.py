"""Tests of which looks at regret count, and how sure each must be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertrain.config import ConfirmConfig, CurrentConfig, DriftConfig, RegretConfig
from evertrain.drift_records import PastCheck
from evertrain.policy import Action, decide_action, look_level, looks_a_year, next_look, remember

START = datetime(2013, 5, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def look(
    after: timedelta, *, fired: bool = True, generation: int = 1, more: tuple[str, ...] = ()
) -> PastCheck:
    """A check that measured regret; data, where *more* names it, fired too."""
    triggers = (*more, *(["regret"] if fired else []))
    sizes = {"regret": 0.03 if fired else 0.0}
    moment = (START + after).isoformat()
    return PastCheck(as_of=moment, generation=generation, triggers=triggers, sizes=sizes)


def policy(checks: int = 1, of: int = 1, window: str = "8d", **more: object) -> DriftConfig:
    """Regret alone retrains; half of its window is four days."""
    return DriftConfig(
        current=CurrentConfig(window=window),
        confirm=ConfirmConfig(checks=checks, of=of),
        regret=RegretConfig(metric="roc_auc"),
        retrain_on=("regret",),
        **more,
    )


def live(config: DriftConfig, looks: list[PastCheck], *, promotes: bool = True) -> list[Action]:
    """Ask the policy check by check; every retrain is done at once, and crowns a champion or is held."""
    earlier: list[PastCheck] = []
    generation, retrained, actions = 1, None, []
    for each in looks:
        now = each.model_copy(update={"generation": generation})
        action = decide_action(config, now, earlier, generation=generation, retrained_as_of=retrained)
        earlier.append(remember(now, action))
        actions.append(action)
        if action.name == "started":
            retrained = now.as_of
            generation += promotes
    return actions


def test_a_look_counts_once_half_of_its_window_is_new() -> None:
    """Hourly looks at an eight-day window count every four days, the first at once."""
    actions = live(policy(), [look(HOUR * hour, fired=False) for hour in range(24 * 9)])
    assert [hour for hour, action in enumerate(actions) if action.counted] == [0, 96, 192]


def test_a_look_that_does_not_count_retrains_nothing_and_names_the_next_that_does() -> None:
    """Looking again at what was seen already is no second chance for an accident."""
    seen = look(DAY * 2, fired=False)
    actions = live(policy(), [seen, look(DAY * 3), look(DAY * 6)])
    assert [action.name for action in actions] == ["none", "unconfirmed", "started"]
    assert actions[1].reason == (
        "did nothing, because over half of what this look at regret saw was seen by the last that counted; "
        "the next one counts as of 2013-05-07T00:00:00+00:00 or later"
    )


def test_overlapping_looks_confirm_nothing() -> None:
    """Two of three must be two of three that count, however many others lie between them."""
    hourly = [look(HOUR * hour) for hour in range(97)]
    actions = live(policy(2, 3), hourly)
    assert [hour for hour, action in enumerate(actions) if action.name == "started"] == [96]
    assert "1 of the last 1 checks fired, 2 must" in actions[0].reason
    steady_between = [
        look(timedelta(0)),
        *(look(HOUR * hour, fired=False) for hour in range(1, 96)),
        look(DAY * 4),
    ]
    assert live(policy(2, 3), steady_between)[-1].name == "started"


def test_a_new_champion_is_looked_at_at_once() -> None:
    """Its first look counts, whatever was seen beside another; the cooldown is told before the counting."""
    actions = live(policy(cooldown=DAY), [look(timedelta(0)), look(HOUR), look(HOUR * 2), look(DAY * 2)])
    assert [(action.name, action.counted) for action in actions] == [
        ("started", True),
        ("cooldown", True),
        ("cooldown", False),
        ("unconfirmed", False),
    ]


def test_who_only_wants_to_know_spends_no_look() -> None:
    """``--no-retrain`` tells what it finds, and the next check may still act."""
    config, curious = policy(), look(timedelta(0))
    told = decide_action(config, curious, [], generation=1, retrained_as_of=None, may_retrain=False)
    assert (told.name, told.counted) == ("none", False)
    after = decide_action(config, look(HOUR), [remember(curious, told)], generation=1, retrained_as_of=None)
    assert (after.name, after.counted) == ("started", True)


def test_a_look_at_a_champion_that_has_gone_is_none() -> None:
    """It says nothing of the one that serves."""
    action = decide_action(policy(), look(HOUR), [], generation=2, retrained_as_of=None)
    assert (action.name, action.counted) == ("none", False)


def test_a_retrain_that_came_to_nothing_is_tried_again_by_the_next_look() -> None:
    """The look that called for it stands: a killed or failed retrain isn't put off by half a window."""
    config, first = policy(), look(timedelta(0))
    called = remember(first, decide_action(config, first, [], generation=1, retrained_as_of=None))
    again = decide_action(config, look(HOUR), [called], generation=1, retrained_as_of=None)
    assert (again.name, again.counted) == ("started", False)
    gone = decide_action(config, look(HOUR, fired=False), [called], generation=1, retrained_as_of=None)
    assert gone.name == "none"


def test_a_look_that_was_answered_calls_for_no_second_retrain() -> None:
    """A retrain that was held has answered its look: the next one that counts may call for another."""
    actions = live(policy(cooldown=HOUR), [look(timedelta(0)), look(DAY), look(DAY * 4)], promotes=False)
    assert [action.name for action in actions] == ["started", "unconfirmed", "started"]


def test_the_claim_asks_again_about_a_look_that_has_counted() -> None:
    """Its own entry, which says that it counted, doesn't keep a check from its retrain."""
    config, first = policy(2, 2), look(timedelta(0))
    one = remember(first, decide_action(config, first, [], generation=1, retrained_as_of=None))
    second = look(DAY * 4)
    two = remember(second, decide_action(config, second, [one], generation=1, retrained_as_of=None))
    assert two.called
    again = second.model_copy(update={"counted": True})
    assert decide_action(config, again, [one, two], generation=1, retrained_as_of=None).name == "started"


def test_what_data_says_needs_no_look() -> None:
    """Data and performance are confirmed as ever; regret that doesn't count isn't named as a cause."""
    config = policy().model_copy(update={"retrain_on": ("data", "regret")})
    seen = look(timedelta(0), fired=False).model_copy(update={"counted": True})
    action = decide_action(config, look(HOUR, more=("data",)), [seen], generation=1, retrained_as_of=None)
    assert (action.name, action.reason) == ("started", "data fired")


def test_a_replay_of_older_data_does_not_count() -> None:
    """Only what is newer than the last look that counted is new."""
    seen = look(DAY * 30, fired=False).model_copy(update={"counted": True})
    action = decide_action(policy(), look(DAY), [seen], generation=1, retrained_as_of=None)
    assert (action.name, action.counted) == ("unconfirmed", False)
    assert next_look(policy(), look(DAY), [seen]) == START + DAY * 34


@pytest.mark.parametrize(
    ("window", "looks"), [("7d", 105), ("30d", 25), ("365d", 2), ("730d", 1), ("36500d", 1), ("1h", 17_520)]
)
def test_a_year_has_a_look_each_half_window(window: str, looks: int) -> None:
    """So many may count in a year, rounded up, and at least one."""
    assert looks_a_year(policy(window=window)) == looks


@given(confidence=st.floats(0.51, 0.999), looks=st.integers(1, 20_000))
def test_a_years_looks_together_are_as_sure_as_the_yaml_says(confidence: float, looks: int) -> None:
    """Their errors add up to what the YAML allows, and one look a year is judged at the YAML's own level."""
    level = look_level(confidence, looks)
    assert looks * (1 - level) == pytest.approx(1 - confidence, rel=1e-6)
    assert confidence <= level < 1
    assert look_level(confidence, 1) == pytest.approx(confidence)


@given(gaps=st.lists(st.integers(1, 200), min_size=1, max_size=60), window_days=st.integers(1, 20))
def test_looks_that_count_are_half_a_window_apart(gaps: list[int], window_days: int) -> None:
    """Whenever checks are made, no more count in a year than the level was made for."""
    moments = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    config = policy(window=f"{window_days}d")
    actions = live(config, [look(HOUR * hour, fired=False) for hour in moments])
    counted = [hour for hour, action in zip(moments, actions, strict=True) if action.counted]
    between = [later - first for first, later in pairwise(counted)]
    assert counted[0] == moments[0]
    assert all(gap >= 12 * window_days for gap in between)
