"""Owns where a strategy stands at a moment of its walk: its champion, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from evertrain.backtest.pieces import Fit
from evertrain.drift_records import PastCheck


@dataclass(frozen=True)
class Champion:
    """Who serves: the ``number``-th champion, trained as of ``as_of``; ``metrics`` on its own hold-out."""

    number: int
    fit: Fit
    metrics: dict[str, float] = field(compare=False)
    as_of: datetime


@dataclass(frozen=True)
class Standing:
    """What the journal would say: champion and generation, looks at hold-outs, checks, the last retrain."""

    champion: Champion | None = None
    generation: int = 0
    looked: tuple[str, ...] = ()
    checks: tuple[PastCheck, ...] = ()
    retrained_as_of: str | None = None
