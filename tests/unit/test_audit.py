from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evertrain.audit import _WHAT, show, verify
from evertrain.drift_records import PastCheck
from evertrain.errors import JournalTampered
from evertrain.journal.chain import Entry, encode_entry, entry_key
from evertrain.liveness import ProcessIdentity
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
from evertrain.release.lifecycle import _STEPS
from evertrain.release.retraining import decide_checked
from evertrain.storage import LocalStore

OWNER = ProcessIdentity("box", "box/boot/ns", 7, 1.0)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def run(version: int) -> dict:
    return {
        "version": version,
        "run_key": f"k{version}",
        "run_id": "r",
        "bundle": "sha-b",
        "snapshot": "sha-s",
        "config": "c",
        "code": "x",
    }


@pytest.fixture
def journal(tmp_path: Path) -> ReleaseJournal:
    journal = open_journal(LocalStore(tmp_path), "flights", "ann", clock=lambda: NOON)
    journal.append(decide_claimed("train", OWNER, 15.0))
    journal.append(decide_taken_over(journal.read()[1].claims["train"], OWNER, 15.0))
    journal.append(decide_registered(**run(1), fence=2))
    journal.append(decide_promoted(version=1, fence=2, reason="the first version"))
    journal.append(decide_registered(**run(2), look=3, holdout="sha-h", fence=2))
    journal.append(decide_held(version=2, run_key="k2", reasons=["roc_auc fell"], fence=2))
    journal.append(decide_promoted(version=2))
    journal.append(decide_rolled_back(reason="complaints"))
    journal.append(decide_alias_repaired(alias="champion", found=2, repaired_to=1, reason="moved"))
    journal.append(decide_released("train", 2))
    return journal


def test_every_entry_has_a_row_that_says_what_and_why(journal: ReleaseJournal) -> None:
    """A person reads who did what to which version, and for which reason."""
    rows = show(journal)
    assert [(row.kind, row.what, row.version) for row in rows] == [
        ("claimed", "train claimed by process 7 on box, attempt 1", None),
        ("taken_over", "train taken over from claim 1 by process 7 on box, attempt 2", None),
        ("registered", "version 1 registered: bundle sha-b, snapshot sha-s", 1),
        ("promoted", "version 1 promoted, generation 1", 1),
        ("registered", "version 2 registered: bundle sha-b, snapshot sha-s; look 3 at hold-out sha-h", 2),
        ("held", "version 2 held in generation 1", 2),
        ("promoted", "version 2 promoted, generation 2", 2),
        ("rolled_back", "version 2 rolled back to 1, generation 3", 1),
        ("alias_repaired", "alias champion put back from version 2 to 1", None),
        ("released", "train released", None),
    ]
    assert [rows[index].why for index in (3, 5, 7)] == ["the first version", "roc_auc fell", "complaints"]
    assert {row.actor for row in rows} == {"ann"}
    assert asdict(rows[0])["at"] == "2024-05-01T12:00:00.000000+00:00"
    assert [row.number for row in rows] == list(range(1, 11))


def test_a_check_is_told_to_the_minute_and_claims_no_retrain_of_others(journal: ReleaseJournal) -> None:
    """Many checks may call for one retrain; which of them started it is an entry of its own."""
    check = PastCheck(as_of="2024-07-16T00:00:00+00:00", generation=2, triggers=("data",))
    journal.append(decide_checked("drifted", check, {}, lambda _: ("started", "data fired", False)))

    row = show(journal)[-1]

    assert row.what == "drifted as of 2024-07-16 00:00 in generation 2: retrain called for"


def test_a_look_that_counts_is_told_with_why_nothing_was_done(journal: ReleaseJournal) -> None:
    """Who reads the journal sees which checks spent a look at regret, and what held each back."""
    check = PastCheck(as_of="2024-07-16T00:00:00+00:00", generation=2, triggers=("regret",))
    why = "did nothing, because 1 of the last 1 checks fired, 2 must"
    journal.append(decide_checked("drifted", check, {}, lambda _: ("unconfirmed", why, True)))

    row = show(journal)[-1]

    assert row.what.endswith("in generation 2: retrain unconfirmed; a look at regret that counts")
    assert row.why == why


def test_an_entry_that_the_fold_ignores_says_so(journal: ReleaseJournal) -> None:
    """A late writer's entry is shown, as ignored, with the reason; the verdict on the whole names it."""
    last = journal.read()[0][-1]
    late = Entry(11, "x", last.hash, "promoted", "flights", "t", "late", "", 1, {"version": 1}, "")
    journal.store.put(entry_key("flights", 11), encode_entry(late))
    row = show(journal)[-1]
    assert row.what.startswith("ignored, it isn't legal: claim 1")
    assert not verify(journal).holds


def test_a_tampered_journal_is_not_shown(journal: ReleaseJournal) -> None:
    """Rows are only given of a journal whose chain holds."""
    assert verify(journal).holds
    journal.store.delete(entry_key("flights", 10))
    with pytest.raises(JournalTampered):
        show(journal)


def test_every_kind_of_entry_can_be_described() -> None:
    """A new kind can't be added without words for it."""
    assert set(_WHAT) == set(_STEPS)
