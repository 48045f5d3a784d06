"""Owns the last entries of a journal: kept as a follower reads them, put into words when somebody looks."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from evertrain.audit import judge_entry, spell_entry
from evertrain.journal import Entry
from evertrain.release import PipelineState, ReleaseJournal

MOST_ENTRIES = 10
_TEXT_CHARACTERS, _NAME_CHARACTERS, _MOMENT_CHARACTERS = 300, 80, 32
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b")


@dataclass(frozen=True)
class Noted:
    """An entry as it was read; ``objection`` says why the fold ignores it, "" if it doesn't."""

    entry: Entry
    objection: str


@dataclass(frozen=True)
class JournalLine:
    """An entry in words: ``at`` is ISO 8601 in UTC; texts are cut to what a page can bear."""

    number: int
    at: str
    what: str
    why: str
    who: str


class Tail:
    """The last ten entries of one journal.

    They are worded by whoever shows them: a word that is missing must not keep a champion from being served.
    """

    def __init__(self, journal: ReleaseJournal) -> None:
        self._journal = journal
        self._noted: deque[Noted] = deque(maxlen=MOST_ENTRIES)

    def note(self, before: PipelineState, entry: Entry) -> None:
        """Keep *entry*, read in the state *before* it."""
        _, objection = judge_entry(self._journal, before, entry)
        self._noted.append(Noted(entry, objection))

    def noted(self) -> tuple[Noted, ...]:
        """The entries, oldest first."""
        return tuple(self._noted)


def spell_line(noted: Noted) -> JournalLine:
    """Put an entry into the audit's words; digests are shortened."""
    row = spell_entry(noted.entry, noted.objection)
    return JournalLine(
        number=row.number,
        at=row.at[:_MOMENT_CHARACTERS],
        what=_cut(row.what, _TEXT_CHARACTERS),
        why=_cut(row.why, _TEXT_CHARACTERS),
        who=_cut(row.actor, _NAME_CHARACTERS),
    )


def _cut(text: str, characters: int) -> str:
    # What is far too long isn't looked at: it may be a megabyte.
    short = _DIGEST.sub(r"\1…", text[: 4 * characters])
    return short if len(short) <= characters else f"{short[: characters - 1]}…"
