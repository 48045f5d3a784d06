"""Owns how a version that passed its gates begins to take over, as its strategy plans it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evertrain.journal.chain import JSON, Draft
from evertrain.release import Decide, decide_promoted
from evertrain.release.rollouts import decide_rollout_started
from evertrain.release.state import PipelineState
from evertrain.strategies import Plan


@dataclass(frozen=True)
class Release:
    """What the YAML says of taking over: the strategy's plan, and ``promotion.guardrails``."""

    plan: Plan
    guardrails: Mapping[str, Any]

    def spelled(self) -> dict[str, JSON]:
        """As it stands in the journal while the version waits for an approval."""
        plan = self.plan
        return {
            "strategy": {
                "type": plan.kind,
                "steps": list(plan.percents),
                "bake_seconds": plan.bake_seconds,
                "metric": plan.metric,
            },
            "keep_warm_seconds": plan.keep_warm_seconds,
            "guardrails": dict(self.guardrails),
        }


def parse_release(spelled: Mapping[str, Any]) -> Release:
    """Read what ``Release.spelled`` gave."""
    strategy = spelled["strategy"]
    plan = Plan(
        kind=str(strategy["type"]),
        percents=tuple(float(percent) for percent in strategy["steps"]),
        bake_seconds=float(strategy["bake_seconds"]),
        keep_warm_seconds=float(spelled["keep_warm_seconds"]),
        metric=strategy["metric"],
    )
    return Release(plan, spelled["guardrails"])


def decide_begun(
    release: Release,
    *,
    version: int,
    judged_generation: int | None,
    fence: int | None = None,
    reason: str = "",
) -> Decide:
    """Promote *version*, or begin its rollout; the first of a pipeline is promoted whatever the strategy.

    A Conflict if the champion changed since it was judged, or a rollout is under way.
    """
    promoted = decide_promoted(
        version=version,
        judged_generation=judged_generation,
        keep_warm_seconds=release.plan.keep_warm_seconds,
        fence=fence,
        reason=reason,
    )
    spelled = release.spelled()
    started = decide_rollout_started(
        version=version,
        strategy=spelled["strategy"],  # type: ignore[arg-type]
        guardrails=release.guardrails,
        judged_generation=judged_generation,
        fence=fence,
        reason=reason,
    )

    def decide(state: PipelineState) -> Draft:
        at_once = state.champion is None or not release.plan.percents
        return promoted(state) if at_once else started(state)

    return decide
