from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.client.schemas.objects import FlowRun
from prefect.states import Scheduled

from flows.runner.due_runs import choose, due_at, planned_at, repeated_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPACE = UUID(int=7)


def scheduled(
    number: int,
    minutes: float,
    *,
    deployment: int = 0,
    automatic: bool = True,
    waits_minutes: float | None = None,
    runs: int = 0,
    as_of: str | None = None,
    pool: bool = False,
) -> FlowRun:
    planned = NOW + timedelta(minutes=minutes)
    due = planned if waits_minutes is None else NOW + timedelta(minutes=waits_minutes)
    return FlowRun(
        id=uuid5(SPACE, f"run {number}"),
        flow_id=UUID(int=1),
        deployment_id=UUID(int=deployment),
        auto_scheduled=automatic,
        expected_start_time=planned,
        next_scheduled_start_time=due,
        run_count=runs,
        parameters={"as_of": as_of},
        work_queue_id=UUID(int=3) if pool else None,
        state=Scheduled(scheduled_time=due),
    )


runs_strategy = st.lists(
    st.builds(
        lambda minutes, deployment, automatic, waits, runs, as_of: (
            minutes,
            {
                "deployment": deployment,
                "automatic": automatic,
                "waits_minutes": waits,
                "runs": runs,
                "as_of": as_of,
            },
        ),
        st.integers(-1000, 10),
        st.integers(0, 2),
        st.booleans(),
        st.none() | st.integers(-5, 5),
        st.integers(0, 1),
        st.sampled_from([None, "2013-04-01"]),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(runs_strategy, st.integers(-1, 4), st.sets(st.integers(0, 11)))
def test_choice(facts, room, busy_numbers):
    """No more begin than there is room, none twice; what is skipped has a newer one that isn't."""
    runs = [scheduled(number, minutes, **rest) for number, (minutes, rest) in enumerate(facts)]
    busy = {run.id for number, run in enumerate(runs) if number in busy_numbers}
    choice = choose(runs, busy, room, NOW)
    begun = [run.id for run in choice.begin]
    skipped = [run.id for run, _ in choice.skip]
    assert len(begun) <= max(room, 0)
    assert len({*begun, *skipped}) == len(begun) + len(skipped)
    assert not busy & {*begun, *skipped}
    assert all(due_at(run) <= NOW for run in choice.begin)
    for run, newer in choice.skip:
        assert run.auto_scheduled
        assert run.run_count == 0
        assert planned_at(run) <= planned_at(newer)
        assert repeated_key(run) == repeated_key(newer)
        assert newer.id not in skipped


@settings(max_examples=20)
@given(runs_strategy)
def test_none_is_forgotten(facts):
    """With room for all, each run that is due begins or is skipped."""
    runs = [scheduled(number, minutes, **rest) for number, (minutes, rest) in enumerate(facts)]
    choice = choose(runs, (), 100, NOW)
    left = {run.id for run in runs} - {run.id for run in choice.begin} - {run.id for run, _ in choice.skip}
    assert all(due_at(run) > NOW for run in runs if run.id in left)


def test_a_day_asleep():
    """Of 24 overdue hourly checks the newest begins, and says so for the others."""
    hours = [scheduled(number, -60 * number) for number in range(24)]
    choice = choose(hours, (), 2, NOW)
    assert choice.begin == (hours[0],)
    assert {run.id for run, _ in choice.skip} == {run.id for run in hours[1:]}
    assert {newer.id for _, newer in choice.skip} == {hours[0].id}


def test_asked_by_hand():
    """Runs that someone asked for all begin, the one that is due the longest first."""
    asked = [scheduled(number, -number, automatic=False) for number in range(3)]
    assert choose(asked, (), 2, NOW).begin == (asked[2], asked[1])


def test_waiting_for_a_slot():
    """A run that waits for a slot is skipped once a newer one of its schedule is due."""
    waiting, newer = scheduled(1, -90, waits_minutes=0.4), scheduled(2, -30)
    choice = choose([waiting, newer], (), 2, NOW)
    assert choice.begin == (newer,)
    assert choice.skip == ((waiting, newer),)


def test_retry_goes_on():
    """A run that waits for its retry isn't skipped: it has begun its work."""
    retried, newer = scheduled(1, -90, runs=1), scheduled(2, -30)
    assert choose([retried, newer], (), 2, NOW).begin == (retried, newer)


def test_pools_are_left_alone():
    """A run that waits in a work pool is for that pool's workers."""
    assert choose([scheduled(1, -1, pool=True)], (), 2, NOW).begin == ()


@pytest.mark.parametrize("minutes", [0.5, 3])
def test_next_due(minutes):
    """What isn't due yet tells when to look again."""
    assert choose([scheduled(1, minutes)], (), 2, NOW).next_due == NOW + timedelta(minutes=minutes)
