"""Owns the challenger of one pipeline in this process: loaded and verified, at its share, while watched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from evertrain.bundles import Bundle
from evertrain.release import PipelineState, VersionState
from evertrain.release.state import Rollout
from evertrain.rollout.reports import RolloutReport, ShadowTotals
from evertrain.storage import Store
from serving.arms import Challenge, Shadowing
from serving.beats import BeatWatch
from serving.retries import Clock, Retry
from serving.served import Served
from serving.tally import Tally

if TYPE_CHECKING:
    from serving.shadow.ledger import ShadowCounts

_log = logging.getLogger(__name__)


class Challenger:
    """Keeps the challenge that the journal wants.

    Args:
        store: Where a rollout's controller beats; only read.
        name: The pipeline.
        find_bundle: Gives a version's bundle, fit to be served.
        clock: Monotonic seconds.
    """

    def __init__(
        self, store: Store, name: str, find_bundle: Callable[[VersionState], Bundle], clock: Clock
    ) -> None:
        self._store = store
        self._name = name
        self._find_bundle = find_bundle
        self._beats = BeatWatch(store, name, clock)
        self._beating = Retry(f"Can't see whether the rollout of {name} is watched", clock)
        self._loading = Retry(f"Can't load the challenger of {name}", clock)
        self._rollout: Rollout | None = None
        self._why = ""
        self._told_tripped = False
        self.challenge: Challenge | None = None
        self.shadowing: Shadowing | None = None

    def look(self, state: PipelineState) -> None:
        """Follow the rollout of *state*; what fails is logged and tried again."""
        rollout = state.rollout
        if rollout is None or rollout.number != (self._rollout and self._rollout.number):
            self.challenge, self._why, self._told_tripped = None, "", False
            self.close()
            self._loading.reset()
        self._rollout = rollout
        if rollout is None:
            return
        if rollout.kind == "shadow":
            if self.shadowing is None:
                self.shadowing = self._start_shadow(state, rollout)
            return
        self._beating.attempt(self._beats.look)
        if self.challenge is None:
            self._loading.attempt(lambda: self._load(state, rollout))
        else:
            self.challenge = self._follow(self.challenge, rollout)

    def report(self) -> RolloutReport | None:
        """How the rollout stands here; None if there is none."""
        rollout, challenge = self._rollout, self.challenge
        if rollout is None:
            return None
        if self.shadowing is not None:
            return _report_shadow(rollout.number, self.shadowing.shadow.counts())
        if challenge is None:
            return RolloutReport(rollout.number, loaded=False, why=self._why)
        tally = challenge.tally
        return RolloutReport(rollout.number, loaded=True, tripped=tally.tripped, steps=tally.steps())

    def close(self) -> None:
        """End a shadow's process."""
        shadowing, self.shadowing = self.shadowing, None
        if shadowing is not None:
            shadowing.shadow.__exit__(None, None, None)

    def _start_shadow(self, state: PipelineState, rollout: Rollout) -> Shadowing:
        from serving.shadow.runner import Shadow

        version = state.versions[rollout.version]
        shadow = Shadow(self._store.where, version.bundle)
        _log.info("Showing version %d of %s what is answered; it answers nobody", version.version, self._name)
        return Shadowing(version.version, version.bundle, rollout.number, shadow.__enter__())

    def _load(self, state: PipelineState, rollout: Rollout) -> None:
        try:
            bundle = self._find_bundle(state.versions[rollout.version])
        except Exception as error:  # told by whoever tries again; here for the report
            self._why = str(error)[:500]
            raise
        self.challenge = self._follow(
            Challenge(
                served=Served(self._name, rollout.version, state.generation, bundle),
                rollout=rollout.number,
                kind=rollout.kind,
                step=rollout.step,
                percent=rollout.percent,
                tally=Tally(rollout.steps, rollout.guardrails),
                held_back=True,
            ),
            rollout,
        )
        _log.info("Ready to serve %s beside it (%s)", self.challenge.served, self.challenge.kind)

    def _follow(self, challenge: Challenge, rollout: Rollout) -> Challenge:
        beat = self._beats.find(rollout.number)
        if beat is not None:
            challenge.tally.replicas = beat.replicas
        if challenge.tally.tripped and not self._told_tripped:
            self._told_tripped = True
            _log.warning(
                "%s crossed a guardrail here: %s. It answers nothing more.", challenge.served, self._cause
            )
        wanted = replace(challenge, step=rollout.step, percent=rollout.percent, held_back=beat is None)
        if wanted == challenge:
            return challenge
        if wanted.held_back and not challenge.held_back:
            _log.warning(
                "Nobody watches the rollout of %s any more: version %d answers nothing until someone does "
                "(evertrain rollout run %s).",
                self._name,
                rollout.version,
                self._name,
            )
        else:
            _log.info("%s answers %g %% of requests", wanted.served, wanted.open_percent)
        return wanted

    @property
    def _cause(self) -> str:
        return (self.challenge.tally.tripped if self.challenge else None) or "unknown"


def _report_shadow(rollout: int, counts: ShadowCounts) -> RolloutReport:
    totals = ShadowTotals(**{each.name: getattr(counts, each.name) for each in fields(ShadowTotals)})
    why = "the challenger's process can't be kept alive" if counts.has_given_up else ""
    return RolloutReport(rollout, loaded=not counts.has_given_up, why=why, shadow=totals)
