"""Owns claims: one living owner per purpose, a lease that others can watch, takeover from the dead."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from evertrain.errors import Conflict, EvertrainError
from evertrain.failpoints import failpoint
from evertrain.heartbeat import keep_beating
from evertrain.journal import Entry
from evertrain.liveness import ProcessIdentity, identify_process, is_running
from evertrain.release import ReleaseJournal, decide_claimed, decide_released, decide_taken_over
from evertrain.release.lifecycle import Claim
from evertrain.storage import GONE, Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClaimHandle:
    """A claim that is held; ``number`` is its fencing token, ``attempt`` counts takeovers from 1."""

    number: int
    purpose: str
    attempt: int


@dataclass(frozen=True)
class Terms:
    """How long a claim holds without a beat, how often it beats, how often others look."""

    lease_seconds: float = 15.0
    beat_seconds: float = 3.0
    look_seconds: float = 0.25
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)


def lease_key(pipeline: str, number: int) -> str:
    """The store's key that the owner of claim *number* overwrites while it lives."""
    return f"leases/{pipeline}/{number}"


@contextmanager
def claim(
    journal: ReleaseJournal,
    store: Store,
    purpose: str,
    *,
    lease_seconds: float = 15.0,
    terms: Terms | None = None,
    owner: ProcessIdentity | None = None,
) -> Iterator[ClaimHandle]:
    """Hold *purpose* of the journal's pipeline while the block runs.

    A dead owner is no obstacle: on this host it is seen at once, elsewhere when its lease runs out.

    Args:
        journal: Where the claim is written.
        store: Where the lease is renewed.
        purpose: What is claimed: ``train``, say.
        lease_seconds: How long others wait for a sign of life, unless *terms* says it.
        terms: All times at once.
        owner: Who claims; default: this process.

    Yields:
        The claim; entries that are written under it bear its number as ``fence``.

    Raises:
        Conflict: A living owner holds it; the message names it.
        StorageError: The store can't be read or written.
        JournalTampered: The journal's chain doesn't hold.
    """
    agreed = terms or Terms(lease_seconds=lease_seconds)
    held = _take(journal, store, purpose, agreed, owner or identify_process())
    try:
        failpoint("claim-before-lease")
        with keep_beating(store, lease_key(journal.pipeline, held.number), agreed.beat_seconds):
            failpoint("claim-after-lease")
            yield ClaimHandle(held.number, held.purpose, held.attempt)
    finally:
        _release(journal, store, held)


def has_lapsed(held: Claim, store: Store, pipeline: str) -> bool:
    """Whether the lease of a claim, held by whomever, is over; a claim that was never beaten for isn't told.

    Raises:
        StorageError: The store can't be read.
    """
    age_seconds = store.age_seconds(lease_key(pipeline, held.number))
    return age_seconds is not None and age_seconds >= held.lease_seconds


def was_taken_over(entries: Iterable[Entry], owner: ProcessIdentity) -> bool:
    """Whether one of *entries* takes a claim over that *owner*, by another of them, held."""
    theirs = set()
    for entry in entries:
        if entry.kind == "taken_over" and entry.data.get("from") in theirs:
            return True
        if entry.kind in ("claimed", "taken_over") and entry.data.get("owner") == asdict(owner):
            theirs.add(entry.number)
    return False


def _take(journal: ReleaseJournal, store: Store, purpose: str, terms: Terms, owner: ProcessIdentity) -> Claim:
    while True:
        _, state = journal.read()
        held = state.claims.get(purpose)
        if held is None:
            decision = decide_claimed(purpose, owner, terms.lease_seconds)
        elif _is_living(held, store, lease_key(journal.pipeline, held.number), terms):
            raise _refuse(journal.pipeline, held)
        else:
            decision = decide_taken_over(held, owner, terms.lease_seconds)
        try:
            _, state = journal.append(decision)
        except Conflict:
            # Someone else claimed, released or took over since: look at who holds it now.
            continue
        if held is not None:
            _tell_left(held, _remove_lease(journal, store, held))
        return state.claims[purpose]


def _is_living(held: Claim, store: Store, key: str, terms: Terms) -> bool:
    running = is_running(held.owner)
    if running is not None:
        return running
    _log.info("%s is held on %s: waiting for its lease", held.purpose, held.owner.host)
    return _is_renewed(held, store, key, terms)


def _is_renewed(held: Claim, store: Store, key: str, terms: Terms) -> bool:
    """Watch a lease until its owner renews it, or it has run out on the store's clock."""
    first = store.get_if_changed(key, None)
    tag = first[1] if first else None
    waited_seconds = 0.0
    while True:
        age_seconds = store.age_seconds(key)
        # An owner that was killed before its first beat left nothing whose age could be told.
        if (waited_seconds if age_seconds is None else age_seconds) >= held.lease_seconds:
            return False
        terms.sleep(terms.look_seconds)
        waited_seconds += terms.look_seconds
        found = store.get_if_changed(key, tag)
        if found is not None and found[1] != GONE:
            return True


def _refuse(pipeline: str, held: Claim) -> Conflict:
    return Conflict(
        f"Another {held.purpose} of {pipeline} runs: process {held.owner.pid} on {held.owner.host}, started "
        f"by {held.actor}, since {held.since} (claim {held.number}). Wait until it ends, or end it.",
        pipeline=pipeline,
        purpose=held.purpose,
        host=held.owner.host,
        pid=held.owner.pid,
        since=held.since,
        claim=held.number,
    )


def _release(journal: ReleaseJournal, store: Store, held: Claim) -> None:
    failpoint("claim-before-release")
    # First: whoever takes a killed owner's claim over removes its lease, nobody that of a claim given back.
    left = _remove_lease(journal, store, held)
    try:
        journal.append(decide_released(held.purpose, held.number))
    except EvertrainError as cause:
        # What the block did stands, and its own error must be seen; this process's end frees the claim too.
        _log.warning("claim %d (%s) could not be released: %s", held.number, held.purpose, cause)
    else:
        _tell_left(held, left)
    failpoint("claim-after-release")


def _remove_lease(journal: ReleaseJournal, store: Store, held: Claim) -> EvertrainError | None:
    try:
        store.delete(lease_key(journal.pipeline, held.number))
    except EvertrainError as cause:
        return cause
    return None


def _tell_left(held: Claim, left: EvertrainError | None) -> None:
    # Nobody looks at the lease of a claim that isn't held: it only lies there.
    if left is not None:
        _log.warning("the lease of claim %d (%s) could not be removed: %s", held.number, held.purpose, left)
