from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.errors import ConfigError, Conflict
from evertrain.liveness import identify_process
from evertrain.release import (
    ReleaseJournal,
    decide_alias_repaired,
    decide_claimed,
    decide_held,
    decide_promoted,
    decide_registered,
    decide_released,
    decide_rolled_back,
    decide_taken_over,
    open_journal,
)
from evertrain.storage import LocalStore


@pytest.fixture
def journal(tmp_path: Path) -> ReleaseJournal:
    return open_journal(LocalStore(tmp_path), "flights", "me")


def register(journal: ReleaseJournal, version: int, **changes) -> None:
    facts = {
        name: f"{name}-{version}" for name in ("run_key", "run_id", "bundle", "snapshot", "config", "code")
    }
    journal.append(decide_registered(version=version, **{**facts, **changes}))


def crown(journal: ReleaseJournal, *versions: int) -> None:
    for version in versions:
        register(journal, version)
        journal.append(decide_promoted(version=version))


def test_each_decision_lands_as_one_entry(journal: ReleaseJournal) -> None:
    """Every builder's entry is legal where it should be, and the fold gives the state that it means."""
    me = identify_process()
    journal.append(decide_claimed("train", me, 15.0))
    claim = journal.read()[1].claims["train"]
    journal.append(decide_taken_over(claim, me, 15.0))
    register(journal, 1, fence=2)
    journal.append(decide_held(version=1, run_key="run_key-1", reasons=["worse", "slow"], fence=2))
    journal.append(decide_promoted(version=1, fence=2, reason="first"))
    crown(journal, 2)
    journal.append(decide_rolled_back(reason="bad"))
    journal.append(decide_alias_repaired(alias="champion", found=2, repaired_to=1, reason="moved by hand"))
    journal.append(decide_released("train", 2))
    entries, state = journal.read()
    assert [entry.kind for entry in entries] == [
        "claimed",
        "taken_over",
        "registered",
        "held",
        "promoted",
        "registered",
        "promoted",
        "rolled_back",
        "alias_repaired",
        "released",
    ]
    assert entries[3].reason == "worse; slow"
    assert f"process {me.pid}" in entries[1].reason
    assert (state.champion, state.generation, dict(state.claims)) == (1, 3, {})
    assert journal.verify().holds


def test_a_verdict_against_an_earlier_champion_is_a_conflict(journal: ReleaseJournal) -> None:
    """Where the champion changed while a version was judged, it is neither promoted nor held."""
    crown(journal, 1)
    register(journal, 2)
    crown(journal, 3)
    for decision in (
        decide_promoted(version=2, judged_generation=1),
        decide_held(version=2, run_key="run_key-2", reasons=["x"], judged_generation=1),
    ):
        with pytest.raises(Conflict, match="judged: that was generation 1, this is 2"):
            journal.append(decision)
    assert journal.append(decide_promoted(version=2, judged_generation=2))[1].champion == 2


def test_a_held_version_may_be_promoted_later(journal: ReleaseJournal) -> None:
    """A version that is judged again after the champion changed may win."""
    register(journal, 1)
    journal.append(decide_held(version=1, run_key="run_key-1", reasons=["worse"]))
    assert journal.append(decide_promoted(version=1))[1].champion == 1


def test_a_plain_rollback_returns_to_the_champion_before(journal: ReleaseJournal) -> None:
    """Twice in a row goes back twice, and then there is nothing left to go back to."""
    crown(journal, 1, 2, 3)
    assert journal.append(decide_rolled_back())[1].champion == 2
    assert journal.append(decide_rolled_back())[1].champion == 1
    with pytest.raises(ConfigError, match="no earlier champion") as caught:
        journal.append(decide_rolled_back())
    assert caught.value.exit_code == 2
    assert journal.append(decide_rolled_back(to=3))[1].champion == 3


@pytest.mark.parametrize("to", [3, 4, 9])
def test_a_rollback_to_what_was_never_champion_lists_the_versions(journal: ReleaseJournal, to: int) -> None:
    """Unknown, held and present champion are refused with exit 2 and all versions."""
    crown(journal, 1, 2)
    register(journal, 4)
    crown(journal, 3)
    with pytest.raises(ConfigError, match=f"Version {to} is not an earlier champion") as caught:
        journal.append(decide_rolled_back(to=to))
    for listed in ("1 (retired)", "2 (previous)", "4 (registered)", "3 (champion)", "--to"):
        assert listed in caught.value.message


def test_a_rollback_of_nothing_says_so(journal: ReleaseJournal) -> None:
    """A pipeline without versions has none to list."""
    with pytest.raises(ConfigError, match="Versions: none"):
        journal.append(decide_rolled_back())


def test_a_fenced_out_writer_gets_a_conflict(journal: ReleaseJournal) -> None:
    """Who lost the claim learns it at the next append; nothing is written."""
    me = identify_process()
    journal.append(decide_claimed("train", me, 15.0))
    late = open_journal(journal.store, "flights", "late")
    late.read()
    journal.append(decide_taken_over(journal.read()[1].claims["train"], me, 15.0))
    with pytest.raises(Conflict, match="claim 1, under which it was written"):
        register(late, 1, fence=1)
    with pytest.raises(Conflict, match="claim 1"):
        late.append(decide_released("train", 1))
    assert len(journal.read()[0]) == 2


def test_other_facts_for_a_known_version_are_a_conflict(journal: ReleaseJournal) -> None:
    """A version number and a run key belong together for ever."""
    register(journal, 1)
    with pytest.raises(Conflict, match="other facts"):
        register(journal, 1, bundle="other")
    with pytest.raises(Conflict, match="registered as version 1"):
        register(journal, 2, run_key="run_key-1")


def test_the_ledger_of_looks_is_part_of_a_version(journal: ReleaseJournal) -> None:
    """A challenger's look at its hold-out is folded; old journals' versions have none."""
    register(journal, 1)
    register(journal, 2, look=1, holdout="rows")
    found = journal.read()[1].versions
    assert [(version.look, version.holdout) for version in found.values()] == [(None, None), (1, "rows")]
    with pytest.raises(Conflict, match="other facts"):
        register(journal, 2, look=2, holdout="rows")
