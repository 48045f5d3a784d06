"""How a pipeline's story is read: on from a bookmark, from a journal that holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evertrain.errors import JournalTampered
from evertrain.journal import Draft, Fold, Journal
from evertrain.records import TrainOutcome
from evertrain.release import (
    ReleaseJournal,
)
from evertrain.reports.pipeline_reading import bookmark_key, read_story
from tests.unit.reports.pipeline_life import START, check, outcome, promote


def test_a_page_goes_on_from_the_last_one(lived: ReleaseJournal) -> None:
    """A story that is read in parts is the one that is read at once, and old entries aren't read again."""
    asked: list[str] = []

    def recall(run_key: str) -> TrainOutcome | None:
        asked.append(run_key)
        return outcome(run_key)

    read_story(lived, recall)
    check(lived, 100)
    first = Path(lived.store.where) / "journal/flights/000000000001.json"
    kept = first.read_bytes()
    first.unlink()

    going_on = read_story(lived, outcome)

    first.write_bytes(kept)
    lived.store.delete(bookmark_key("flights"))
    assert going_on == read_story(lived, outcome)
    assert going_on.counts.checks == 25
    assert len(asked) == 15


def test_an_outcome_that_comes_later_is_found_later(journal: ReleaseJournal) -> None:
    """A version whose run hasn't ended has no figures yet; the next page asks for them again."""
    promote(journal, 1)
    assert read_story(journal, lambda _: None).versions[0].facts is None

    facts = read_story(journal, outcome).versions[0].facts

    assert facts is not None
    assert facts.rows == 80_001


@pytest.mark.parametrize("change", ["no JSON", "other rules", "other hash", "other pipeline", "more"])
def test_a_bookmark_that_is_of_no_use_is_passed_over(lived: ReleaseJournal, change: str) -> None:
    """One that is broken, foreign or of other rules costs reading the journal again, and nothing else."""
    whole = read_story(lived, outcome)
    spelled = json.loads(lived.store.get(bookmark_key("flights")) or b"")
    spelled["story"]["counts"]["checks"] = 4711
    wrong = {"other rules": {"rules": "x"}, "other hash": {"hash": "0" * 64}, "more": {"more": 1}}
    spelled |= wrong.get(change, {})
    if change == "other pipeline":
        spelled["story"]["pipeline"] = "weather"
    body = "{" if change == "no JSON" else json.dumps(spelled)
    lived.store.put(bookmark_key("flights"), body.encode())

    assert read_story(lived, outcome) == whole


def test_a_journal_that_was_changed_is_refused(lived: ReleaseJournal) -> None:
    """A page isn't told from a journal whose chain is broken."""
    (Path(lived.store.where) / "journal/flights/000000000009.json").unlink()

    with pytest.raises(JournalTampered):
        read_story(lived, outcome)


def test_entries_that_the_journals_rules_ignore_are_not_told(journal: ReleaseJournal) -> None:
    """A fenced-out owner's late word about a retrain is in the journal, and not on the page."""
    promote(journal, 1)
    lawless = Journal(journal.store, "flights", fold=Fold(0, lambda state, _: state), actor="ghost")
    lawless.append(lambda _: Draft("retrain_started", {"as_of": START.isoformat()}, "late", 99))
    lawless.append(lambda _: Draft("promoted", {"version": 9, "generation": 2}, "late"))

    story = read_story(journal, outcome)

    assert (story.champion, story.counts.retrains, len(story.reigns)) == (1, 0, 1)
