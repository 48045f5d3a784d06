"""Owns walking a rollout to its end: reads the arms' counts, asks for the next move, writes it down."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from evertrain.errors import Conflict
from evertrain.failpoints import failpoint
from evertrain.guardrails import ArmCounts, StepCounts
from evertrain.journal import JSON
from evertrain.release import Decide, PipelineState, ReleaseJournal
from evertrain.release.rollouts import (
    decide_rollout_ended,
    decide_rollout_paused,
    decide_rollout_promoted,
    decide_rollout_resumed,
    decide_rollout_stepped,
)
from evertrain.release.state import Rollout
from evertrain.rollout.beats import BEAT_SECONDS, Beat, beat_key, spell_beat
from evertrain.rollout.moves import Move, decide_move
from evertrain.rollout.replicas import Replicas
from evertrain.rollout.reports import ShadowTotals
from evertrain.storage import Store

SHADOW = "shadow"
LOOK_SECONDS = 0.25
BEAT_AFTER_SECONDS = BEAT_SECONDS / 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What a controller sees and does about it: for whoever shows progress."""

    rollout: Rollout
    move: Move
    steps: Sequence[StepCounts]
    answering: int
    shadow: ShadowTotals | None = None


class RolloutController:
    """Walks the rollout that is under way; one at a time is alive, by the claim that *fence* stands for.

    Args:
        journal: The pipeline's.
        store: Where the service's processes report, and where the controller beats.
        fence: The number of the claim.
        tell: Called at each look.
        clock: Monotonic seconds.
        sleep: Waits some seconds.
        now: The time in UTC, which the bake is measured by.
    """

    def __init__(
        self,
        journal: ReleaseJournal,
        store: Store,
        *,
        fence: int,
        tell: Callable[[Look], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._journal = journal
        self._store = store
        self._fence = fence
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._replicas = Replicas(store, journal.pipeline, clock)
        self._owner = f"{socket.gethostname()}, process {os.getpid()}"
        self._beats = 0
        self._beat_at_seconds = clock()

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
        answering = len(self._replicas.answering())
        self._beat(rollout, answering)
        steps = all_steps(rollout, self._replicas.steps(rollout.number))
        begun = datetime.fromisoformat(rollout.step_since)
        shadow = self._replicas.shadow(rollout.number) if rollout.kind == SHADOW else None
        move = decide_move(
            rollout,
            steps,
            shadow=shadow,
            since_seconds=(self._now() - begun).total_seconds(),
            unready=self._replicas.unready(rollout.number),
            answering=answering,
            tripped=self._replicas.tripped(rollout.number),
        )
        self._tell(Look(rollout, move, steps, answering, shadow))
        decide = _decision(rollout, move, spell_evidence(steps, shadow), self._fence)
        if decide is None:
            return
        failpoint(f"rollout-before-{move.kind}")
        try:
            self._journal.append(decide)
        except Conflict as cause:
            # A person was first: the next look sees what is so now.
            _log.info("%s", cause.message)
        failpoint(f"rollout-after-{move.kind}")

    def _beat(self, rollout: Rollout, answering: int) -> None:
        if self._clock() < self._beat_at_seconds:
            return
        self._beat_at_seconds = self._clock() + BEAT_AFTER_SECONDS
        self._beats += 1
        beat = Beat(rollout.number, self._beats, self._owner, max(1, answering))
        self._store.put(beat_key(self._journal.pipeline), spell_beat(beat))


def all_steps(rollout: Rollout, counted: Mapping[int, StepCounts]) -> list[StepCounts]:
    """What the arms did at each step up to the present one, also where nobody was asked."""
    percents = rollout.steps[: rollout.step + 1]
    return [
        counted.get(step, StepCounts(percent / 100, ArmCounts(), ArmCounts()))
        for step, percent in enumerate(percents)
    ]


def _decision(rollout: Rollout, move: Move, evidence: Mapping[str, JSON], fence: int) -> Decide | None:
    reason = move.reason
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


def spell_evidence(steps: Sequence[StepCounts], shadow: ShadowTotals | None = None) -> dict[str, JSON]:
    """What the arms did, or what a shadow's rows came to, for the journal."""
    if shadow is not None:
        return {"shadow": asdict(shadow)}
    return {
        "steps": [
            {
                "share": step.share,
                **{
                    name: {"requests": arm.requests, "errors": arm.errors, "slow": arm.slow}
                    for name, arm in (("stable", step.stable), ("challenger", step.challenger))
                },
            }
            for step in steps
        ]
    }
