"""Tests of what drift checks write to the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.drift_records import MOST_CHECKS, PastCheck
from evertrain.errors import Conflict
from evertrain.journal.chain import ORIGIN, Draft, Entry, Illegal
from evertrain.liveness import identify_process
from evertrain.release import ReleaseJournal, decide_claimed, decide_released, open_journal
from evertrain.release.lifecycle import apply_entry
from evertrain.release.retraining import decide_checked, decide_retrain_ended, decide_retrain_started
from evertrain.release.state import PipelineState
from evertrain.storage import LocalStore

CHECK = PastCheck(as_of="2013-05-01T00:00:00+00:00", generation=0, triggers=("data",))


@pytest.fixture
def journal(tmp_path: Path) -> ReleaseJournal:
    return open_journal(LocalStore(tmp_path), "flights", "me")


def start(_state: PipelineState) -> tuple:
    return "started", "data fired", False


def claim_retrain(journal: ReleaseJournal) -> int:
    _, state = journal.append(decide_claimed("retrain", identify_process(), 15.0))
    return state.claims["retrain"].number


def test_a_check_is_remembered_with_what_fired(journal: ReleaseJournal) -> None:
    """The state knows the check; the entry holds its evidence and the policy's action and reason."""
    entry, state = journal.append(decide_checked("drifted", CHECK, {"share": 0.5}, start))
    assert state.checks == (CHECK.model_copy(update={"called": True}),)
    assert entry.data["evidence"] == {"share": 0.5}
    assert (entry.data["retrain"], entry.reason) == ("started", "data fired")


def test_the_policy_is_asked_in_the_state_at_hand(journal: ReleaseJournal) -> None:
    """What another wrote in between is what the policy sees."""
    seen = []

    def ask(state: PipelineState) -> tuple:
        seen.append(len(state.checks))
        return "none", "", False

    journal.append(decide_checked("drifted", CHECK, {}, start))
    journal.append(decide_checked("drifted", CHECK, {}, ask))
    assert seen[-1] == 1


def test_a_check_of_too_little_data_is_written_and_confirms_nothing(journal: ReleaseJournal) -> None:
    """The audit shows that it looked; the policy doesn't count it."""
    entry, state = journal.append(decide_checked("too_little_data", CHECK, {}, start))
    assert entry.data["decision"] == "too_little_data"
    assert state.checks == ()


def test_only_the_last_checks_are_kept_in_the_state(journal: ReleaseJournal) -> None:
    """A journal of years has a state of bounded size."""
    for _ in range(MOST_CHECKS + 3):
        journal.append(decide_checked("drifted", CHECK, {}, start))
    assert len(journal.read()[1].checks) == MOST_CHECKS


def test_a_retrain_is_under_way_until_it_says_what_it_came_to(journal: ReleaseJournal) -> None:
    """Started and not ended is what a killed retrain leaves behind."""
    fence = claim_retrain(journal)
    _, state = journal.append(decide_retrain_started(CHECK, start, fence=fence))
    assert state.retrain is not None
    assert (state.retrain.as_of, state.retrain.ended) == (CHECK.as_of, None)
    _, state = journal.append(decide_retrain_ended("held", fence=fence))
    assert state.retrain is not None
    assert state.retrain.ended == "held"


def test_a_retrain_that_the_policy_no_longer_wants_is_refused(journal: ReleaseJournal) -> None:
    """Between check and claim another check may have had its retrain."""
    fence = claim_retrain(journal)
    with pytest.raises(Conflict, match="cooldown of 24h") as refused:
        journal.append(
            decide_retrain_started(CHECK, lambda _: ("cooldown", "cooldown of 24h", False), fence=fence)
        )
    assert refused.value.attributes["action"] == "cooldown"


def test_an_owner_who_lost_the_claim_changes_nothing(journal: ReleaseJournal) -> None:
    """A retrain's start and end count only under a claim that is held."""
    fence = claim_retrain(journal)
    journal.append(decide_released("retrain", fence))
    with pytest.raises(Conflict):
        journal.append(decide_retrain_started(CHECK, start, fence=fence))
    assert journal.read()[1].retrain is None


def test_a_retrain_that_was_never_started_cant_end(journal: ReleaseJournal) -> None:
    """The fold ignores an end without a start."""
    fence = claim_retrain(journal)
    with pytest.raises(Conflict, match="no retrain"):
        journal.append(decide_retrain_ended("held", fence=fence))


def test_a_look_that_counted_is_remembered_beyond_many_checks(journal: ReleaseJournal) -> None:
    """Hourly checks of a month's window: the last look that counts lies further back than the last checks."""
    looked = CHECK.model_copy(update={"sizes": {"regret": 0.1}})
    journal.append(decide_checked("steady", looked, {}, lambda _: ("none", "", True)))
    for _ in range(MOST_CHECKS + 2):
        journal.append(decide_checked("steady", CHECK, {}, lambda _: ("none", "", False)))
    first, *others = journal.read()[1].checks
    assert (first.counted, first.sizes) == (True, {"regret": 0.1})
    assert (len(others), any(each.counted for each in others)) == (MOST_CHECKS, False)


def test_a_retrain_answers_its_causes_until_a_check_finds_them_gone(journal: ReleaseJournal) -> None:
    """What it answered, and how large that was, is in its entry and in the state; one that failed has not."""
    grown = CHECK.model_copy(update={"sizes": {"data": 0.5, "regret": 0.1}})
    fence = claim_retrain(journal)
    for came_to in ("failed", "held"):
        entry, _ = journal.append(decide_retrain_started(grown, start, fence=fence))
        _, state = journal.append(decide_retrain_ended(came_to, fence=fence))
        assert bool(state.retrains.as_of) == (came_to == "held")
    assert entry.data["causes"] == {"data": 0.5}
    assert state.retrains.answered == {"data": 0.5}
    _, state = journal.append(decide_checked("drifted", grown, {}, start))
    assert state.retrains.answered == {"data": 0.5}
    steady = grown.model_copy(update={"triggers": ()})
    _, state = journal.append(decide_checked("steady", steady, {}, start))
    assert (state.retrains.as_of, state.retrains.answered) == ((CHECK.as_of,), {})


def test_entries_of_an_earlier_version_are_read(journal: ReleaseJournal) -> None:
    """A journal that knows no sizes and no looks folds as it did."""
    old = {
        "decision": "drifted",
        "as_of": CHECK.as_of,
        "generation": 0,
        "triggers": ["data"],
        "retrain": "none",
    }
    _, state = journal.append(lambda _: Draft("checked", old))
    assert state.checks == (CHECK,)


@pytest.mark.parametrize("sizes", [["data"], {"data": "much"}, {"data": True}, 5.0])
def test_sizes_that_are_no_numbers_are_not_legal(sizes: object) -> None:
    """The fold ignores, and reports, an entry that says something that can't be understood."""
    facts = {
        "decision": "drifted",
        "as_of": "x",
        "generation": 0,
        "triggers": [],
        "retrain": "none",
        "sizes": sizes,
    }
    entry = Entry(1, "e", ORIGIN, "checked", "flights", "noon", "me", "", None, facts, "h")
    with pytest.raises(Illegal, match="sizes"):
        apply_entry(PipelineState(), entry)
