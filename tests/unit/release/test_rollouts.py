"""Rollouts and approvals in the journal: what may follow what, whoever asks and in whatever order."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from evertrain.errors import ConfigError, Conflict
from evertrain.journal import Draft
from evertrain.journal.chain import ORIGIN, Entry, Illegal
from evertrain.release import (
    PipelineState,
    ReleaseJournal,
    decide_promoted,
    decide_registered,
    decide_rolled_back,
    open_journal,
)
from evertrain.release.lifecycle import apply_entry
from evertrain.release.rollouts import (
    decide_approved,
    decide_awaiting_approval,
    decide_rollout_ended,
    decide_rollout_paused,
    decide_rollout_promoted,
    decide_rollout_resumed,
    decide_rollout_started,
    decide_rollout_stepped,
    find_rollout,
)
from evertrain.storage import LocalStore

CANARY = {"type": "canary", "steps": [5, 50, 100], "bake_seconds": 600}
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 1.5}
RELEASE = {"strategy": CANARY, "keep_warm_seconds": 900, "guardrails": GUARDRAILS}
RULES_RUN = 200


def registered(version: int):
    facts = {
        name: f"{name}-{version}" for name in ("run_key", "run_id", "bundle", "snapshot", "config", "code")
    }
    return decide_registered(version=version, **facts)


def started(version: int, strategy: dict = CANARY):
    return decide_rollout_started(version=version, strategy=strategy, guardrails=GUARDRAILS)


@pytest.fixture
def journal(tmp_path: Path) -> ReleaseJournal:
    """A pipeline with the champion 1, and with 2 and 3 registered."""
    made = open_journal(LocalStore(tmp_path), "flights", "me")
    for decide in (registered(1), decide_promoted(version=1), registered(2), registered(3)):
        made.append(decide)
    return made


def test_a_rollout_climbs_its_steps_to_the_title(journal: ReleaseJournal) -> None:
    """From step to step the share grows; the last makes a champion, and the one before is previous."""
    _, state = journal.append(started(2))
    rollout = find_rollout(state, "flights")
    assert (rollout.version, rollout.step, rollout.percent) == (2, 0, 5)
    assert state.versions[2].status == "challenger"
    for percent in (50, 100):
        _, state = journal.append(decide_rollout_stepped(find_rollout(state, "flights"), {"requests": 900}))
        assert find_rollout(state, "flights").percent == percent
    _, state = journal.append(decide_rollout_promoted(find_rollout(state, "flights"), {}))

    assert (state.champion, state.previous, state.generation, state.rollout) == (2, 1, 2, None)
    assert journal.verify().holds


def test_there_is_one_rollout_at_a_time(journal: ReleaseJournal) -> None:
    """While one is under way no other begins, and no other version is promoted past it."""
    journal.append(started(2))
    for decide in (started(3), decide_promoted(version=3), decide_promoted(version=2)):
        with pytest.raises(Conflict, match="rollout"):
            journal.append(decide)


def test_a_rollout_needs_a_champion(tmp_path: Path) -> None:
    """The first version has nobody to be held against."""
    journal = open_journal(LocalStore(tmp_path), "flights", "me")
    journal.append(registered(1))
    with pytest.raises(Conflict, match="no champion"):
        journal.append(started(1))


@pytest.mark.parametrize(("outcome", "status"), [("rolled_back", "rejected"), ("aborted", "aborted")])
def test_a_challenger_that_lost_does_not_come_back(
    journal: ReleaseJournal, outcome: str, status: str
) -> None:
    """The champion stays, and what was rejected can't be promoted, rolled out or rolled back to."""
    _, state = journal.append(started(2))
    _, state = journal.append(
        decide_rollout_ended(find_rollout(state, "flights"), outcome, {"errors": 7}, reason="too many errors")
    )

    assert (state.champion, state.generation, state.rollout) == (1, 1, None)
    assert (state.versions[2].status, state.versions[2].reasons) == (status, ("too many errors",))
    for decide in (started(2), decide_promoted(version=2)):
        with pytest.raises(Conflict):
            journal.append(decide)
    with pytest.raises(ConfigError):
        journal.append(decide_rolled_back(to=2))


def test_a_pause_ends_by_a_step_or_by_going_on(journal: ReleaseJournal) -> None:
    """A paused rollout keeps its share; each cause is written once."""
    _, state = journal.append(started(2))
    rollout = find_rollout(state, "flights")
    pause = decide_rollout_paused(rollout, "no_data", {}, reason="nobody asked")
    _, state = journal.append(pause)
    assert (find_rollout(state, "flights").paused, find_rollout(state, "flights").percent) == ("no_data", 5)
    with pytest.raises(Conflict, match="paused already"):
        journal.append(pause)
    _, state = journal.append(decide_rollout_resumed(rollout, reason="there is data"))
    assert find_rollout(state, "flights").paused is None
    journal.append(pause)
    _, state = journal.append(decide_rollout_stepped(rollout, {}, reason="forced"))
    assert find_rollout(state, "flights").paused is None


def test_a_rollback_of_the_champion_ends_the_rollout_beside_it(journal: ReleaseJournal) -> None:
    """The challenger was held against a champion that is no more."""
    journal.append(decide_promoted(version=2))
    journal.append(started(3))
    _, state = journal.append(decide_rolled_back())

    assert (state.champion, state.rollout, state.versions[3].status) == (1, None, "aborted")


def test_who_is_late_moves_nothing(journal: ReleaseJournal) -> None:
    """What was decided on another rollout, or on an earlier step, is a Conflict."""
    _, state = journal.append(started(2))
    old = find_rollout(state, "flights")
    journal.append(decide_rollout_stepped(old, {}))
    with pytest.raises(Conflict, match="follow"):
        journal.append(decide_rollout_stepped(old, {}))
    journal.append(decide_rollout_ended(old, "aborted", {}, reason="by hand"))
    journal.append(started(3))
    for decide in (decide_rollout_promoted(old, {}), decide_rollout_ended(old, "aborted", {}, reason="late")):
        with pytest.raises(Conflict, match="under way"):
            journal.append(decide)


def test_an_approval_is_of_one_bundle(journal: ReleaseJournal) -> None:
    """A version that waits can't be promoted; approved, it can, and who approved it is known."""
    waiting = decide_awaiting_approval(version=2, run_key="run_key-2", release=RELEASE, judged_generation=1)
    journal.append(waiting)
    for decide in (decide_promoted(version=2), started(2)):
        with pytest.raises(Conflict, match="awaiting_approval"):
            journal.append(decide)
    with pytest.raises(ConfigError, match="those that do: 2"):
        journal.append(decide_approved(version=3))
    _, state = journal.append(decide_approved(version=2, reason="looked at the report"))
    assert (state.versions[2].approved_by, state.versions[2].status) == ("me", "registered")
    with pytest.raises(Conflict, match="was approved"):
        journal.append(waiting)
    journal.append(decide_promoted(version=2))


def test_approval_of_another_bundle_is_illegal(journal: ReleaseJournal) -> None:
    """Whoever approves names what was looked at."""
    _, state = journal.append(
        decide_awaiting_approval(version=2, run_key="run_key-2", release=RELEASE, judged_generation=None)
    )
    data = {"version": 2, "bundle": "another"}
    entry = Entry(state.number + 1, "e", ORIGIN, "approved", "flights", "noon", "me", "", None, data, "h")
    with pytest.raises(Illegal, match="another bundle"):
        apply_entry(state, entry)


def test_of_many_who_end_a_rollout_one_does(journal: ReleaseJournal, tmp_path: Path) -> None:
    """Eight clients promote, abort, step and roll back at once: one chain, one winner a generation."""
    _, state = journal.append(started(2))
    rollout = find_rollout(state, "flights")
    decisions = [
        decide_rollout_promoted(rollout, {}),
        decide_rollout_ended(rollout, "aborted", {}, reason="by hand"),
        decide_rollout_ended(rollout, "rolled_back", {}, reason="errors"),
        decide_rollout_stepped(rollout, {}),
    ] * 2
    won: list[str] = []
    begin = threading.Barrier(len(decisions))

    def act(number: int) -> None:
        mine = open_journal(LocalStore(tmp_path), "flights", f"client {number}")
        begin.wait(10)
        try:
            entry, _ = mine.append(decisions[number])
        except Conflict:
            return
        won.append(entry.kind)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(len(decisions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    _, state = journal.read()
    assert sum(kind in ("promoted", "rollout_ended") for kind in won) == 1
    assert won.count("rollout_stepped") <= 1
    assert state.rollout is None
    assert journal.verify().holds


class Commands(RuleBasedStateMachine):
    """Any commands in any order, as many clients would give them."""

    def __init__(self) -> None:
        super().__init__()
        self.state = PipelineState()
        self.known = 0
        self.old = None

    def ask(self, decide) -> bool:
        try:
            draft: Draft = decide(self.state)
            entry = Entry(
                self.state.number + 1,
                "e",
                ORIGIN,
                draft.kind,
                "flights",
                "noon",
                "me",
                draft.reason,
                draft.fence,
                draft.data,
                "h",
            )
            after = apply_entry(self.state, entry)
        except (Illegal, Conflict, ConfigError):
            return False
        crowned = draft.kind in ("promoted", "rolled_back")
        assert after.generation == self.state.generation + crowned
        assert (after.champion != self.state.champion) == crowned or draft.kind == "rolled_back"
        self.state = after
        return True

    @initialize()
    def begin(self) -> None:
        for version in (1, 2):
            self.ask(registered(version))
            self.ask(decide_promoted(version=version))
        self.known = 2

    @rule()
    def register(self) -> None:
        self.known += 1
        assert self.ask(registered(self.known))

    @rule(back=st.integers(0, 3), kind=st.sampled_from(["canary", "shadow", "ab"]))
    def start(self, back: int, kind: str) -> None:
        strategy = {**CANARY, "type": kind}
        if self.ask(started(self.known - back, strategy)):
            self.old = self.state.rollout

    @rule(
        what=st.sampled_from(
            [
                decide_rollout_promoted,
                lambda rollout, evidence: decide_rollout_ended(rollout, "aborted", evidence, reason="r"),
                lambda rollout, evidence: decide_rollout_ended(rollout, "rolled_back", evidence, reason="r"),
                lambda rollout, evidence: decide_rollout_paused(rollout, "no_data", evidence, reason="r"),
                lambda rollout, _: decide_rollout_resumed(rollout, reason="r"),
            ]
        ),
        late=st.booleans(),
    )
    def move(self, what, late: bool) -> None:
        rollout = self.old if late else self.state.rollout
        if rollout is not None:
            self.ask(what(rollout, {}))

    @rule()
    def step(self) -> None:
        rollout = self.state.rollout
        if rollout is not None and rollout.step + 1 < len(rollout.steps):
            assert self.ask(decide_rollout_stepped(rollout, {}))

    @rule(back=st.integers(0, 3))
    def promote(self, back: int) -> None:
        self.ask(decide_promoted(version=self.known - back))

    @rule(back=st.integers(0, 5))
    def roll_back(self, back: int) -> None:
        self.ask(decide_rolled_back(to=self.known - back))

    @rule(back=st.integers(0, 3))
    def await_approval(self, back: int) -> None:
        number = self.known - back
        self.ask(
            decide_awaiting_approval(
                version=number, run_key=f"run_key-{number}", release=RELEASE, judged_generation=None
            )
        )

    @rule(back=st.integers(0, 3))
    def approve(self, back: int) -> None:
        self.ask(decide_approved(version=self.known - back))

    @invariant()
    def one_of_each(self) -> None:
        """One champion, and a challenger if and only if there is a rollout."""
        status = [version.status for version in self.state.versions.values()]
        assert status.count("champion") == (self.state.champion is not None)
        assert status.count("challenger") == (self.state.rollout is not None)
        if self.state.rollout is not None:
            assert self.state.versions[self.state.rollout.version].status == "challenger"


Commands.TestCase.settings = settings(max_examples=RULES_RUN, stateful_step_count=40, deadline=None)
TestCommands = Commands.TestCase
TestCommands.__doc__ = (
    """No order of commands leads to two champions, two challengers or a skipped generation."""
)
