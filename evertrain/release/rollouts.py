"""Owns what an approval and a rollout may write to the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from evertrain.errors import ConfigError, Conflict
from evertrain.journal.chain import JSON, Draft
from evertrain.release import Decide, check_generation
from evertrain.release.state import PipelineState, Rollout, Verdict

Evidence = Mapping[str, JSON]
Pause = Literal["no_data", "inconclusive", "sample_ratio", "not_loaded"]


def decide_awaiting_approval(
    *,
    version: int,
    run_key: str,
    release: Evidence,
    judged_generation: int | None,
    fence: int | None = None,
) -> Decide:
    """Let *version*, which passed its gates, wait for a person; a Conflict if the champion changed since.

    *release* says how it takes over once it is approved.
    """

    def decide(state: PipelineState) -> Draft:
        check_generation(state, version, judged_generation)
        data: dict[str, JSON] = {
            "version": version,
            "run_key": run_key,
            "generation": state.generation,
            "release": dict(release),
        }
        return Draft("awaiting_approval", data, "all gates passed", fence)

    return decide


def decide_approved(*, version: int, reason: str = "") -> Decide:
    """Approve *version* as the bundle that it is.

    Returns:
        A decision that raises ConfigError where *version* awaits no approval.
    """

    def decide(state: PipelineState) -> Draft:
        waiting = [each for each in state.versions.values() if each.status == "awaiting_approval"]
        found = next((each for each in waiting if each.version == version), None)
        if found is None:
            listed = ", ".join(str(each.version) for each in waiting) or "none"
            raise ConfigError(f"Version {version} awaits no approval; those that do: {listed}.")
        return Draft("approved", {"version": version, "bundle": found.bundle}, reason)

    return decide


def decide_rollout_started(
    *,
    version: int,
    strategy: Evidence,
    guardrails: Evidence,
    judged_generation: int | None = None,
    fence: int | None = None,
    reason: str = "",
) -> Decide:
    """Begin to roll *version* out; a Conflict if the champion changed since it was judged."""

    def decide(state: PipelineState) -> Draft:
        check_generation(state, version, judged_generation)
        data: dict[str, JSON] = {
            "version": version,
            "generation": state.generation,
            "strategy": dict(strategy),
            "guardrails": dict(guardrails),
        }
        return Draft("rollout_started", data, reason, fence)

    return decide


def decide_rollout_stepped(
    rollout: Rollout, evidence: Evidence, *, reason: str = "", fence: int | None = None
) -> Decide:
    """Give the challenger its next share of requests; a Conflict if someone else has, or it has ended."""
    step = rollout.step + 1
    data: dict[str, JSON] = {
        "rollout": rollout.number,
        "version": rollout.version,
        "step": step,
        "percent": rollout.steps[step],
        "evidence": dict(evidence),
    }
    return lambda _: Draft("rollout_stepped", data, reason, fence)


def decide_rollout_promoted(
    rollout: Rollout, evidence: Evidence, *, reason: str = "", fence: int | None = None
) -> Decide:
    """Make the challenger the champion; a Conflict if the rollout isn't the one under way."""

    def decide(state: PipelineState) -> Draft:
        data: dict[str, JSON] = {
            "rollout": rollout.number,
            "version": rollout.version,
            "generation": state.generation + 1,
            "evidence": dict(evidence),
        }
        return Draft("promoted", data, reason, fence)

    return decide


def decide_rollout_judged(
    rollout: Rollout,
    verdict: Verdict,
    rows: int,
    evidence: Evidence,
    *,
    reason: str,
    fence: int | None = None,
) -> Decide:
    """Write what one more look at the labels of both arms showed; *rows* of the arm that had fewer."""
    data: dict[str, JSON] = {
        "rollout": rollout.number,
        "version": rollout.version,
        "look": rollout.looks + 1,
        "rows": rows,
        "verdict": verdict,
        "evidence": dict(evidence),
    }
    return lambda _: Draft("rollout_judged", data, reason, fence)


def decide_rollout_paused(
    rollout: Rollout, cause: Pause, evidence: Evidence, *, reason: str, fence: int | None = None
) -> Decide:
    """Let the rollout go no further by itself, for *cause*."""
    data: dict[str, JSON] = {
        "rollout": rollout.number,
        "version": rollout.version,
        "cause": cause,
        "evidence": dict(evidence),
    }
    return lambda _: Draft("rollout_paused", data, reason, fence)


def decide_rollout_resumed(rollout: Rollout, *, reason: str, fence: int | None = None) -> Decide:
    """Let a paused rollout go on."""
    data = {"rollout": rollout.number, "version": rollout.version}
    return lambda _: Draft("rollout_resumed", data, reason, fence)


def decide_rollout_ended(
    rollout: Rollout,
    outcome: Literal["rolled_back", "aborted"],
    evidence: Evidence,
    *,
    reason: str,
    fence: int | None = None,
) -> Decide:
    """End the rollout without a promotion: all requests go to the champion again."""
    data: dict[str, JSON] = {
        "rollout": rollout.number,
        "version": rollout.version,
        "outcome": outcome,
        "evidence": dict(evidence),
    }
    return lambda _: Draft("rollout_ended", data, reason, fence)


def find_rollout(state: PipelineState, pipeline: str) -> Rollout:
    """The rollout under way.

    Raises:
        Conflict: There is none.
    """
    if state.rollout is None:
        raise Conflict(
            f"No rollout of {pipeline} is under way; version {state.champion or 'none'} serves. "
            f"`evertrain audit show {pipeline}` tells how the last one ended."
        )
    return state.rollout
