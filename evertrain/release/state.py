"""Owns what a pipeline is after its journal's entries: claims, versions, champions, rollouts, checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from evertrain.drift_records import PastCheck, PastRetrains
from evertrain.liveness import ProcessIdentity

Status: TypeAlias = Literal[
    "registered",
    "held",
    "awaiting_approval",
    "challenger",
    "champion",
    "previous",
    "retired",
    "rolled_back",
    "rejected",
    "aborted",
]
"""``challenger``: in a rollout; ``rejected``, ``aborted``: a guardrail or a person ended its rollout.
``rolled_back`` was champion and was left for an earlier one."""
KEEP_WARM_SECONDS = 900.0
Verdict: TypeAlias = Literal["better", "worse", "open"]
"""What an A/B test says of its challenger; ``open``: neither is shown yet."""


@dataclass(frozen=True)
class Claim:
    """Who holds a purpose; ``number`` is the entry's number and the fencing token, ``since`` its time."""

    number: int
    purpose: str
    owner: ProcessIdentity
    actor: str
    since: str
    attempt: int
    lease_seconds: float


@dataclass(frozen=True)
class VersionState:
    """One registered version: its facts (digests but for ``run_id``), and how it fared.

    Attributes:
        status: Where it stands now.
        reasons: Why it was held; empty if it isn't.
        judged_generation: The generation whose champion it was last judged against; None: not yet judged.
        look: Which challenger, counted from 1, it was on (mostly) these held-out rows; None: it met no
            champion.
        holdout: The digest of those rows' fingerprints; None as ``look``.
        approved_by: Who approved it; None where nobody was asked, or hasn't yet.
        release: How it takes over once it is approved; None where nobody was asked.
    """

    version: int
    run_key: str
    run_id: str
    bundle: str
    snapshot: str
    config: str
    code: str
    status: Status = "registered"
    reasons: tuple[str, ...] = ()
    judged_generation: int | None = None
    look: int | None = None
    holdout: str | None = None
    approved_by: str | None = None
    release: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rollout:
    """A challenger on its way; there is at most one.

    Attributes:
        number: The entry that started it; names it, and salts the buckets that callers fall into.
        version: The challenger.
        strategy: What the YAML's strategy came to then: its ``type``, its ``steps`` in percent of requests,
            its ``bake_seconds``, its ``metric``.
        guardrails: The same of ``promotion.guardrails``.
        step: Which of the strategy's steps it is on, from 0.
        step_since: When it came there; ISO 8601, UTC.
        paused: Why it goes no further by itself; None while it does.
        looks: How often its arms were judged by their labels, where a metric decides.
        judged_rows: The labelled rows of the arm that had fewer, at the last such look.
        verdict: What that look showed of the challenger; None before the first.
        verdict_reason: The figures that it rests on, in words.
    """

    number: int
    version: int
    strategy: Mapping[str, Any]
    guardrails: Mapping[str, Any]
    step: int
    step_since: str
    paused: str | None = None
    looks: int = 0
    judged_rows: int = 0
    verdict: Verdict | None = None
    verdict_reason: str = ""

    @property
    def steps(self) -> tuple[float, ...]:
        """The percentages of requests that the challenger shall answer, one after the other."""
        return tuple(float(percent) for percent in self.strategy["steps"])

    @property
    def kind(self) -> str:
        """The strategy's type."""
        return str(self.strategy["type"])

    @property
    def metric(self) -> str | None:
        """The metric that decides; None where none does."""
        return self.strategy.get("metric")

    @property
    def bake_seconds(self) -> float:
        """How long each step lasts at least."""
        return float(self.strategy["bake_seconds"])

    @property
    def percent(self) -> float:
        """The percentage of requests that the challenger shall answer now."""
        return self.steps[self.step]


@dataclass(frozen=True)
class Retrain:
    """The last retrain that a drift check started; ``ended`` is what it came to, None while nobody said.

    ``causes``: what it answers, each with its size.
    """

    as_of: str
    ended: str | None = None
    causes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineState:
    """One pipeline after its journal's entries.

    Attributes:
        number: The last entry that changed something.
        claims: By purpose, each claim that is held.
        versions: By number, each registered version.
        champions: The versions that a rollback would go back through, oldest first; the last is the champion.
        generation: How often the champion has changed.
        checks: The last drift checks, oldest first, at most 200; before them, of those that counted as
            looks at regret at most fifty.
        retrain: The last retrain that a drift check started.
        retrains: Those that came to a decision.
        rollout: The one that is under way; None if there is none.
        rollouts: How many have begun, and how many of them have ended, together.
        keep_warm_seconds: How long after the last promotion the one before stays loaded in the service.
    """

    number: int = 0
    claims: Mapping[str, Claim] = field(default_factory=dict)
    versions: Mapping[int, VersionState] = field(default_factory=dict)
    champions: tuple[int, ...] = ()
    generation: int = 0
    checks: tuple[PastCheck, ...] = ()
    retrain: Retrain | None = None
    retrains: PastRetrains = field(default_factory=PastRetrains)
    rollout: Rollout | None = None
    rollouts: int = 0
    keep_warm_seconds: float = KEEP_WARM_SECONDS

    @property
    def champion(self) -> int | None:
        """The version that serves; None before the first promotion."""
        return self.champions[-1] if self.champions else None

    @property
    def previous(self) -> int | None:
        """The version that a plain rollback returns to; None if there is none."""
        return self.champions[-2] if len(self.champions) > 1 else None

    @property
    def aliases(self) -> dict[str, int | None]:
        """The version that each alias of the model registry names; None for one that names none."""
        challenger = self.rollout.version if self.rollout else None
        return {"champion": self.champion, "challenger": challenger, "previous": self.previous}

    def find_run(self, run_key: str) -> VersionState | None:
        """The version that was registered under *run_key*; None if there is none."""
        return next((version for version in self.versions.values() if version.run_key == run_key), None)
