"""Owns what people and flows do with a rollout: walk it to its end, push it on, end it, approve a version."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from evertrain.claims import claim
from evertrain.config import LabelsConfig
from evertrain.errors import ConfigError, Conflict
from evertrain.journal import ORIGIN, Entry
from evertrain.pipelines import open_existing_journal
from evertrain.registry import follow_with_aliases
from evertrain.release import PipelineState, ReleaseJournal
from evertrain.release.releasing import decide_begun, parse_release
from evertrain.release.rollouts import (
    decide_approved,
    decide_rollout_ended,
    decide_rollout_promoted,
    decide_rollout_stepped,
    find_rollout,
)
from evertrain.release.state import Rollout
from evertrain.rollout.controller import Look, RolloutController, see_rollout, spell_evidence
from evertrain.rollout.label_watch import LabelWatch
from evertrain.rollout.labelled_rows import LabelReader
from evertrain.rollout.moves import Move, decide_move
from evertrain.rollout.replicas import Replicas, await_acknowledged
from evertrain.settings import Settings

ROLLOUT = "rollout"
ENDS = ("promoted", "rollout_ended", "rolled_back")
"""Entries that end a rollout; of the champion, a rollback ends the one beside it."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """How a rollout ended: ``promoted``, ``rolled_back`` or ``aborted``, why, and the state then."""

    version: int
    outcome: str
    reason: str
    state: PipelineState


def walk_rollout(
    name: str,
    settings: Settings,
    tell: Callable[[Look], None] = lambda _: None,
    *,
    labels: LabelsConfig | None = None,
) -> Ended:
    """Walk the rollout of pipeline *name* to its end, and wait until the service's processes serve it.

    Args:
        name: The pipeline.
        settings: Say where the store is.
        tell: Called at each look.
        labels: Where labels come from beside those that callers send to the service.

    Raises:
        ConfigError: There is no such pipeline.
        Conflict: No rollout is under way, or a living process walks it.
        StorageError: The store can't be read or written.
    """
    journal = open_existing_journal(name, settings)
    rollout = find_rollout(journal.read()[1], name)
    reader = LabelReader(journal.store, name, labels, lambda version: journal.read()[1].versions[version])
    with LabelWatch(reader) as watch, claim(journal, journal.store, ROLLOUT) as held:
        walking = RolloutController(journal, journal.store, fence=held.number, tell=tell, labels=watch)
        state = walking.run()
    tell_acknowledged(journal, state)
    follow_with_aliases(settings, name, state.aliases)
    return find_end(journal, rollout)


def find_end(journal: ReleaseJournal, rollout: Rollout) -> Ended:
    """How *rollout*, which has ended, ended."""
    entries = journal.read_from(0, ORIGIN)
    end = next(entry for entry in entries if entry.number > rollout.number and entry.kind in ENDS)
    outcome = str(end.data.get("outcome", "promoted" if end.kind == "promoted" else "aborted"))
    return Ended(rollout.version, outcome, end.reason, journal.read()[1])


def tell_acknowledged(journal: ReleaseJournal, state: PipelineState) -> None:
    """Wait until the service's processes serve *state*'s generation; who doesn't in ten seconds is told of.

    Raises:
        StorageError: The store can't be read.
    """
    _, late = await_acknowledged(journal.store, journal.pipeline, state.generation)
    if late:
        _log.warning(
            "After ten seconds version %s is not yet served by %s; they follow when they reach the store.",
            state.champion,
            ", ".join(late),
        )


def look_at_rollout(journal: ReleaseJournal, state: PipelineState) -> Look:
    """What the controller of the rollout under way sees now, and would do.

    Raises:
        Conflict: No rollout is under way.
        StorageError: The store can't be read.
    """
    rollout = find_rollout(state, journal.pipeline)
    replicas = Replicas(journal.store, journal.pipeline)
    replicas.look()
    begun = datetime.fromisoformat(rollout.step_since)
    seen = see_rollout(rollout, replicas, (datetime.now(UTC) - begun).total_seconds())
    return Look(rollout, seen, decide_move(rollout, seen))


def advance_rollout(
    name: str, settings: Settings, *, force: bool, reason: str
) -> tuple[Entry, PipelineState]:
    """Give the challenger its next share without waiting for the bake; with *force* whatever the evidence.

    Raises:
        ConfigError: *force* without a reason; or no such pipeline.
        Conflict: No rollout is under way, or, without *force*, the evidence doesn't allow it yet.
        StorageError: The store can't be read or written.
    """
    if force and not reason:
        raise ConfigError("--force overrides the evidence: say why with --reason TEXT; the journal keeps it.")
    journal = open_existing_journal(name, settings)
    rollout = find_rollout(journal.read()[1], name)
    replicas = Replicas(journal.store, name)
    replicas.look()
    seen = see_rollout(rollout, replicas, math.inf)
    if not force:
        move = decide_move(replace(rollout, paused=None), seen)
        if move.kind not in ("step", "promote"):
            raise Conflict(_cannot_advance(name, rollout, move))
    told = reason or "advanced by hand"
    is_last = rollout.step + 1 == len(rollout.steps)
    decide = decide_rollout_promoted if is_last else decide_rollout_stepped
    evidence = {**spell_evidence(seen), "forced": force}
    entry, state = journal.append(decide(rollout, evidence, reason=told))
    if is_last:
        tell_acknowledged(journal, state)
        follow_with_aliases(settings, name, state.aliases)
    return entry, state


def _cannot_advance(name: str, rollout: Rollout, move: Move) -> str:
    return (
        f"Version {rollout.version} of {name} doesn't advance from {rollout.percent:g} %: {move.reason}. "
        f"Wait, or override: evertrain rollout advance {name} --force --reason TEXT."
    )


def abort_rollout(name: str, settings: Settings, reason: str) -> tuple[Entry, PipelineState]:
    """End the rollout: the champion answers all requests again.

    Raises:
        ConfigError: There is no such pipeline.
        Conflict: No rollout is under way.
        StorageError: The store can't be read or written.
    """
    journal = open_existing_journal(name, settings)
    rollout = find_rollout(journal.read()[1], name)
    ended = decide_rollout_ended(rollout, "aborted", {}, reason=reason or "aborted by hand")
    entry, state = journal.append(ended)
    follow_with_aliases(settings, name, state.aliases)
    return entry, state


def approve_version(name: str, version: int, settings: Settings, reason: str) -> tuple[Entry, PipelineState]:
    """Approve *version*, and begin what its strategy planned; one that was approved and not begun is begun.

    Returns:
        The entry that began it (``promoted`` or ``rollout_started``), and the state after it.

    Raises:
        ConfigError: There is no such pipeline, or the version awaits no approval.
        Conflict: The champion changed since it was judged, or a rollout is under way.
        StorageError: The store can't be read or written.
    """
    journal = open_existing_journal(name, settings)
    known = journal.read()[1].versions.get(version)
    if known is None or known.status != "registered" or known.approved_by is None:
        _, state = journal.append(decide_approved(version=version, reason=reason))
        known = state.versions[version]
    if known.release is None:
        raise ConfigError(f"Version {version} of {name} was registered without a plan; train it again.")
    begun = decide_begun(
        parse_release(known.release),
        version=version,
        judged_generation=known.judged_generation,
        reason=reason or f"approved by {known.approved_by}",
    )
    entry, state = journal.append(begun)
    if entry.kind == "promoted":
        tell_acknowledged(journal, state)
    follow_with_aliases(settings, name, state.aliases)
    return entry, state
