"""Owns walking a rollout to its end: reads the arms' counts, asks for the next move, writes it down."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from evertrain.errors import Conflict
from evertrain.failpoints import failpoint
from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.journal import JSON
from evertrain.release import Decide, PipelineState, ReleaseJournal
from evertrain.release.rollouts import (
    decide_rollout_ended,
    decide_rollout_judged,
    decide_rollout_paused,
    decide_rollout_promoted,
    decide_rollout_resumed,
    decide_rollout_stepped,
)
from evertrain.release.state import Rollout
from evertrain.rollout.beats import BEAT_SECONDS, Beat, beat_key, spell_beat
from evertrain.rollout.label_watch import Labelled, LabelWatch
from evertrain.rollout.moves import NO_PAIRS, Move, Seen, decide_move
from evertrain.rollout.replicas import Replicas
from evertrain.storage import Store

SHADOW, AB = "shadow", "ab"
BY_LABELS = (SHADOW, AB)
LOOK_SECONDS = 0.25
BEAT_AFTER_SECONDS = BEAT_SECONDS / 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What a controller sees and does about it: for whoever shows progress."""

    rollout: Rollout
    seen: Seen
    move: Move


class RolloutController:
    """Walks the rollout that is under way; one at a time is alive, by the claim that *fence* stands for.

    Args:
        journal: The pipeline's.
        store: Where the service's processes report, and where the controller beats.
        fence: The number of the claim.
        tell: Called at each look.
        sleep: Waits some seconds.
        labels: Reads what both arms answered and what happened, where a metric decides.
    """

    def __init__(
        self,
        journal: ReleaseJournal,
        store: Store,
        *,
        fence: int,
        tell: Callable[[Look], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        labels: LabelWatch | None = None,
    ) -> None:
        self._journal = journal
        self._store = store
        self._fence = fence
        self._tell = tell
        self._sleep = sleep
        self._labels = labels
        self._replicas = Replicas(store, journal.pipeline)
        self._owner = f"{socket.gethostname()}, process {os.getpid()}"
        self._beats = 0
        self._beat_at_seconds = time.monotonic()

    def run(self) -> PipelineState:
        """Walk until the rollout has ended; gives the state then.

        Raises:
            StorageError: The store can't be read or written.
            JournalTampered: The journal's chain doesn't hold.
        """
        while True:
            state = self._journal.catch_up().state
            if state.rollout is None:
                return state
            self.look(state.rollout)
            self._sleep(LOOK_SECONDS)

    def look(self, rollout: Rollout) -> None:
        """Look once, and make the move that there is to make; raises as ``run`` does."""
        self._replicas.look()
        since_seconds = (datetime.now(UTC) - datetime.fromisoformat(rollout.step_since)).total_seconds()
        labelled = self._read_labels(rollout, since_seconds)
        seen = see_rollout(rollout, self._replicas, since_seconds, labelled)
        self._beat(rollout, seen.answering)
        move = decide_move(rollout, seen)
        self._tell(Look(rollout, seen, move))
        if move.kind == "judge":
            decide = _judgement(rollout, labelled, self._fence)
        else:
            decide = _decision(rollout, move, seen, self._fence)
        if decide is None:
            return
        failpoint(f"rollout-before-{move.kind}")
        try:
            self._journal.append(decide)
        except Conflict as cause:
            # A person was first: the next look sees what is so now.
            _log.info("%s", cause.message)
        failpoint(f"rollout-after-{move.kind}")

    def _read_labels(self, rollout: Rollout, since_seconds: float) -> Labelled | None:
        """What the labels say: of a shadow at any time, of two arms from when both have had theirs."""
        if self._labels is None or rollout.kind not in BY_LABELS:
            return None
        if rollout.kind == AB and since_seconds < rollout.bake_seconds:
            return None
        return self._labels.look(rollout)

    def _beat(self, rollout: Rollout, answering: int) -> None:
        if time.monotonic() < self._beat_at_seconds:
            return
        self._beat_at_seconds = time.monotonic() + BEAT_AFTER_SECONDS
        self._beats += 1
        beat = Beat(rollout.number, self._beats, self._owner, max(1, answering))
        self._store.put(beat_key(self._journal.pipeline), spell_beat(beat))


def see_rollout(
    rollout: Rollout, replicas: Replicas, since_seconds: float, labelled: Labelled | None = None
) -> Seen:
    """Put together what *replicas*, looked at just now, report of *rollout*, and what labels say of it."""
    return Seen(
        steps=_all_steps(rollout, replicas.steps(rollout.number)),
        since_seconds=since_seconds,
        shadow=replicas.shadow(rollout.number) if rollout.kind == SHADOW else None,
        unready=replicas.unready(rollout.number),
        answering=len(replicas.answering()),
        tripped=replicas.tripped(rollout.number),
        labelled=labelled.rows if labelled else None,
        pairs=(labelled and labelled.pairs) or NO_PAIRS,
    )


def _all_steps(rollout: Rollout, counted: Mapping[int, StepCounts]) -> list[StepCounts]:
    # Also those at which nobody was asked.
    percents = rollout.steps[: rollout.step + 1]
    return [
        counted.get(step, StepCounts(percent / 100, ArmCounts(), ArmCounts()))
        for step, percent in enumerate(percents)
    ]


def _judgement(rollout: Rollout, labelled: Labelled | None, fence: int) -> Decide | None:
    if labelled is None or labelled.judged is None:
        return None
    judged = labelled.judged
    evidence = judged.model_dump(mode="json", exclude={"verdict", "reason"})
    return decide_rollout_judged(
        rollout, judged.verdict, min(judged.rows), evidence, reason=judged.reason, fence=fence
    )


def _decision(rollout: Rollout, move: Move, seen: Seen, fence: int) -> Decide | None:
    reason, evidence = move.reason, spell_evidence(seen)
    if move.kind == "step":
        return decide_rollout_stepped(rollout, evidence, reason=reason, fence=fence)
    if move.kind == "promote":
        return decide_rollout_promoted(rollout, evidence, reason=reason, fence=fence)
    if move.kind == "roll_back":
        return decide_rollout_ended(rollout, "rolled_back", evidence, reason=reason, fence=fence)
    if move.kind == "pause" and move.cause is not None:
        return decide_rollout_paused(rollout, move.cause, evidence, reason=reason, fence=fence)
    if move.kind == "resume":
        return decide_rollout_resumed(rollout, reason=reason, fence=fence)
    return None


def spell_evidence(seen: Seen) -> dict[str, JSON]:
    """What the arms did, or what a shadow's rows came to, for the journal."""
    if seen.shadow is not None:
        return {"shadow": asdict(seen.shadow), "labelled": seen.pairs._asdict()}
    return {
        "steps": [
            {
                "share": step.share,
                **{
                    name: {"requests": arm.requests, "errors": arm.errors, "slow": arm.slow}
                    for name, arm in (("stable", step.stable), ("challenger", step.challenger))
                },
            }
            for step in seen.steps
        ]
    }
