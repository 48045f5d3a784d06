"""Owns what a drift check may write to the journal: its finding, and the start and end of a retrain."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evertrain.drift_records import PastCheck, RetrainAction
from evertrain.errors import Conflict
from evertrain.journal.chain import JSON, Draft
from evertrain.release import Decide
from evertrain.release.state import PipelineState

AskPolicy = Callable[[PipelineState], tuple[RetrainAction, str, bool]]
"""The policy: from the state to an action, its reason, and whether the check counts as a look at regret."""


def decide_checked(decision: str, check: PastCheck, evidence: Mapping[str, JSON], ask: AskPolicy) -> Decide:
    """Write a check's finding together with what the policy, asked in the state at hand, does about it.

    Args:
        decision: What it found; a check of too little data is written and confirms nothing.
        check: When it looked, against which champion, what fired, how large it was.
        evidence: What it measured, for the audit.
        ask: The policy.
    """

    def decide(state: PipelineState) -> Draft:
        action, reason, counted = ask(state)
        facts: dict[str, JSON] = {
            "decision": decision,
            "as_of": check.as_of,
            "generation": check.generation,
            "triggers": list(check.triggers),
            "sizes": dict(check.sizes),
            "counted": counted,
            "retrain": action,
        }
        return Draft("checked", {**facts, "evidence": dict(evidence)}, reason)

    return decide


def decide_retrain_started(check: PastCheck, ask: AskPolicy, *, fence: int) -> Decide:
    """Start the retrain that *check* decided on, under the claim *fence*.

    The policy is asked again: between the check and the claim another check may have had its retrain.

    Returns:
        A decision that raises Conflict, with the policy's ``action``, where it says no more.
    """

    def decide(state: PipelineState) -> Draft:
        action, reason, _ = ask(state)
        if action != "started":
            raise Conflict(f"Another check was first: {reason}.", action=action)
        return Draft("retrain_started", {"as_of": check.as_of, "causes": dict(check.causes)}, reason, fence)

    return decide


def decide_retrain_ended(decision: str, reason: str = "", *, fence: int) -> Decide:
    """Write what the retrain came to: a training run's decision, or ``failed``."""
    return lambda _: Draft("retrain_ended", {"decision": decision}, reason, fence)
