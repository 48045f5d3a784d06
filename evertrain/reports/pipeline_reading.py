"""Owns how a pipeline's story is read: on from where the last page left off, so that each costs little."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evertrain.canonical import digest_of
from evertrain.errors import JournalTampered
from evertrain.journal.chain import ORIGIN, Codec, Illegal
from evertrain.records import Record, TrainOutcome
from evertrain.release import PipelineState, ReleaseJournal
from evertrain.release.state_codec import state_codec
from evertrain.reports import pipeline_story, pipeline_telling
from evertrain.reports.pipeline_story import CheckStory, PipelineStory, VersionFacts, VersionStory
from evertrain.reports.pipeline_telling import Telling
from evertrain.storage import Store

MOST_ASKED = 50
"""So many of the newest versions, and of the newest checks, are looked up in the store for one page."""

Recall = Callable[[str], TrainOutcome | None]


class Bookmark(Record):
    """How far a story was told: the last entry's number and hash, the state after it, by which rules."""

    rules: str
    number: int
    hash: str
    state: Any
    story: PipelineStory


def bookmark_key(pipeline: str) -> str:
    """The store's key of where the last page left off."""
    return f"reports/{pipeline}/index.json"


def page_key(pipeline: str) -> str:
    """The store's key of a pipeline's page."""
    return f"reports/{pipeline}/index.html"


def evidently_name(page: str) -> str:
    """The file name of Evidently's page of the check whose own page is called *page*."""
    return f"{page.removesuffix('.html')}-evidently.html"


def read_story(journal: ReleaseJournal, recall: Recall) -> PipelineStory:
    """Tell a pipeline's story up to the last entry of *journal*, and keep where that was.

    Of the journal only what was added since the last page is read. What the bookmark says is believed as far
    as its last entry is still the journal's; a page is a look, and decides nothing.

    Args:
        journal: The pipeline's.
        recall: Gives the outcome of a run by its run key; None where there is none (yet).

    Raises:
        JournalTampered: The journal's chain doesn't hold.
        StorageError: The store can't be read or written.
    """
    codec = state_codec()
    start = _open_bookmark(journal, codec)
    try:
        entries = journal.read_from(start.number, start.hash)
    except JournalTampered:
        # Perhaps it is the bookmark that is wrong; the whole journal is judged by itself.
        start = _beginning(journal, codec)
        entries = journal.read_from(start.number, start.hash)
    telling, state = Telling(start.story), codec.decode(start.state)
    for entry in entries:
        try:
            after = journal.fold.apply(state, entry)
        except Illegal:
            continue
        telling.tell(state, entry, after)
        state = after
    last = entries[-1] if entries else start
    story = _look_up(telling.told(), start.number, journal.store, recall)
    kept = Bookmark(
        rules=start.rules, number=last.number, hash=last.hash, state=codec.encode(state), story=story
    )
    journal.store.put(bookmark_key(journal.pipeline), kept.model_dump_json().encode())
    return story


def _open_bookmark(journal: ReleaseJournal, codec: Codec[PipelineState]) -> Bookmark:
    beginning = _beginning(journal, codec)
    body = journal.store.get(bookmark_key(journal.pipeline))
    try:
        found = beginning if body is None else Bookmark.model_validate_json(body)
        codec.decode(found.state)
    except ValueError:
        return beginning
    fits = (found.rules, found.story.pipeline) == (beginning.rules, journal.pipeline)
    return found if fits else beginning


def _beginning(journal: ReleaseJournal, codec: Codec[PipelineState]) -> Bookmark:
    state, story = codec.encode(journal.fold.initial), PipelineStory(pipeline=journal.pipeline)
    return Bookmark(rules=_rules(codec), number=0, hash=ORIGIN, state=state, story=story)


def _rules(codec: Codec[PipelineState]) -> str:
    """Names how entries become a story: a bookmark that other rules left is of no use."""
    sources = (Path(str(module.__file__)).read_bytes() for module in (pipeline_story, pipeline_telling))
    return digest_of([codec.rules, *(hashlib.sha256(source).hexdigest() for source in sources)])


def _look_up(story: PipelineStory, known: int, store: Store, recall: Recall) -> PipelineStory:
    """Add what the journal doesn't say: run outcomes; for checks after entry *known* Evidently's page."""
    versions = [
        *story.versions[:-MOST_ASKED],
        *(_with_facts(each, recall) for each in story.versions[-MOST_ASKED:]),
    ]
    checks = [
        *story.checks[:-MOST_ASKED],
        *(_with_evidently(each, known, story.pipeline, store) for each in story.checks[-MOST_ASKED:]),
    ]
    return story.model_copy(update={"versions": tuple(versions), "checks": tuple(checks)})


def _with_facts(version: VersionStory, recall: Recall) -> VersionStory:
    outcome = recall(version.run_key) if version.facts is None else None
    if outcome is None or outcome.version != version.version:
        return version
    snapshot = outcome.snapshot
    facts = VersionFacts(
        metrics=outcome.metrics,
        rows=snapshot.rows,
        unlabelled=snapshot.unlabelled,
        quarantined=snapshot.quarantined,
    )
    return version.model_copy(update={"facts": facts})


def _with_evidently(check: CheckStory, known: int, pipeline: str, store: Store) -> CheckStory:
    if check.page is None or check.number <= known:
        return check
    key = f"reports/{pipeline}/{evidently_name(check.page)}"
    return check.model_copy(update={"has_evidently": store.age_seconds(key) is not None})
