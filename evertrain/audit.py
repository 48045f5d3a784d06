"""Owns what a person reads of a journal: one plain row for each entry, and the verdict on the whole."""

from __future__ import annotations

from dataclasses import dataclass

from evertrain.journal.chain import JSON, ORIGIN, Entry, Illegal
from evertrain.journal.verification import Verification
from evertrain.release import ReleaseJournal
from evertrain.release.lifecycle import PipelineState

_CLAIM = "process {owner[pid]} on {owner[host]}, attempt {attempt}"
_WHAT = {
    "claimed": "{purpose} claimed by " + _CLAIM,
    "taken_over": "{purpose} taken over from claim {from} by " + _CLAIM,
    "released": "{purpose} released",
    "registered": "version {version} registered: bundle {bundle}, snapshot {snapshot}",
    "held": "version {version} held in generation {generation}",
    "promoted": "version {version} promoted, generation {generation}",
    "rolled_back": "version {from} rolled back to {to}, generation {generation}",
    "awaiting_approval": "version {version} awaits approval in generation {generation}",
    "approved": "version {version} approved: bundle {bundle}",
    "rollout_started": "rollout of version {version} begun: {strategy[type]}",
    "rollout_stepped": "version {version} answers {percent:g} % of requests",
    "rollout_judged": "version {version} judged by {rows:,} labels: {verdict}, look {look}",
    "rollout_paused": "rollout of version {version} paused: {cause}",
    "rollout_resumed": "rollout of version {version} goes on",
    "rollout_ended": "rollout of version {version} {outcome}",
    "checked": "{decision} as of {as_of} in generation {generation}: retrain {retrain}",
    "retrain_started": "retrain started as of {as_of}",
    "retrain_ended": "retrain ended: {decision}",
    "alias_repaired": "alias {alias} put back from version {found} to {set}",
}


@dataclass(frozen=True)
class AuditRow:
    """One entry, for the table and for JSON; ``version`` is None where the entry speaks of none."""

    number: int
    at: str
    actor: str
    kind: str
    what: str
    why: str
    version: int | None


def show(journal: ReleaseJournal) -> list[AuditRow]:
    """Every entry of *journal*, oldest first; one that the fold ignores says so.

    Raises:
        JournalTampered: The journal's chain doesn't hold.
        StorageError: The store can't be read.
    """
    entries = journal.read_from(0, ORIGIN)
    state = journal.fold.initial
    rows = []
    for entry in entries:
        state, objection = judge_entry(journal, state, entry)
        rows.append(spell_entry(entry, objection))
    return rows


def verify(journal: ReleaseJournal) -> Verification:
    """Check the whole of *journal*; nothing is changed.

    Raises:
        StorageError: The store can't be read.
    """
    return journal.verify()


def judge_entry(journal: ReleaseJournal, state: PipelineState, entry: Entry) -> tuple[PipelineState, str]:
    """The state after *entry*, and why the fold ignores it; "" if it doesn't."""
    try:
        return journal.fold.apply(state, entry), ""
    except Illegal as verdict:
        return state, f"ignored, it isn't legal: {verdict}"


def spell_entry(entry: Entry, objection: str = "") -> AuditRow:
    """Put *entry* into words; with an *objection* these are it."""
    version = entry.data.get("to" if entry.kind == "rolled_back" else "version")
    return AuditRow(
        number=entry.number,
        at=entry.at,
        actor=entry.actor,
        kind=entry.kind,
        what=objection or _WHAT[entry.kind].format_map(_spell_facts(entry)) + _look(entry) + _counted(entry),
        why=entry.reason,
        version=version if isinstance(version, int) else None,
    )


def _spell_facts(entry: Entry) -> dict[str, JSON]:
    """A moment to the minute; and a check that calls for a retrain may yet lose it to another."""
    facts = dict(entry.data)
    if "as_of" in facts:
        facts["as_of"] = str(facts["as_of"])[:16].replace("T", " ")
    if facts.get("retrain") == "started":
        facts["retrain"] = "called for"
    for name in ("cause", "outcome"):
        if name in facts:
            facts[name] = str(facts[name]).replace("_", " ")
    return facts


def _counted(entry: Entry) -> str:
    return "; a look at regret that counts" if entry.data.get("counted") is True else ""


def _look(entry: Entry) -> str:
    if entry.kind != "registered" or "look" not in entry.data:
        return ""
    return f"; look {entry.data['look']} at hold-out {entry.data['holdout']}"
