"""Owns where a strategy stands at a moment of its walk: its champion, and what its journal would remember."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from evertrain.backtest.pieces import Fit
from evertrain.drift_records import PastCheck, PastRetrains


@dataclass(frozen=True)
class Champion:
    """Who serves: the ``number``-th champion, trained as of ``as_of``; ``metrics`` on its own hold-out."""

    number: int
    fit: Fit
    metrics: dict[str, float] = field(compare=False)
    as_of: datetime


@dataclass(frozen=True)
class Standing:
    """What the journal would say: champion and generation, looks at hold-outs, checks, past retrains."""

    champion: Champion | None = None
    generation: int = 0
    looked: tuple[str, ...] = ()
    checks: tuple[PastCheck, ...] = ()
    retrains: PastRetrains = field(default_factory=PastRetrains)

    @property
    def retrained_as_of(self) -> str | None:
        """As-of of the last retrain that a check started and that came to a decision."""
        return self.retrains.as_of[-1] if self.retrains.as_of else None

    @property
    def known_until(self) -> datetime | None:
        """What the champion, or a later retrain, saw."""
        retrained = self.retrained_as_of and datetime.fromisoformat(self.retrained_as_of)
        return max(
            (each for each in (self.champion and self.champion.as_of, retrained) if each), default=None
        )

    def after_check(self, check: PastCheck) -> Standing:
        """Remember a check of today's champion."""
        return replace(self, checks=(*self.checks, check), retrains=self.retrains.with_check(check))

    def after_retrain(self, as_of: datetime) -> Standing:
        """Remember a retrain that the last check called for and that came to a decision."""
        if not self.checks or not self.checks[-1].called:
            return self
        retrains = self.retrains.with_retrain(as_of.isoformat(), self.checks[-1].causes)
        return replace(self, retrains=retrains)
