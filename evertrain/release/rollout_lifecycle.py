"""Owns what the entries of a rollout and of an approval mean; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import get_args

from evertrain.journal.chain import Entry, Illegal
from evertrain.release.changes import candidate_of, version_of, with_versions
from evertrain.release.fields import text, whole_number
from evertrain.release.state import PipelineState, Rollout, Status, Verdict, VersionState

PAUSES = frozenset({"no_data", "inconclusive", "sample_ratio", "not_loaded"})
ENDS: Mapping[str, Status] = MappingProxyType({"rolled_back": "rejected", "aborted": "aborted"})
"""How a rollout ends without a promotion, and what its version is then."""
VERDICTS: Mapping[str, Verdict] = MappingProxyType({each: each for each in get_args(Verdict)})
GRADUAL = frozenset({"canary", "shadow", "ab"})


def leave_rollout(state: PipelineState) -> PipelineState:
    """The state without its rollout."""
    return replace(state, rollout=None, rollouts=state.rollouts + 1)


def end_rollout(state: PipelineState, entry: Entry) -> VersionState:
    """The challenger that *entry* promotes; Illegal if it is another version, or another rollout's."""
    rollout = _rollout_of(state, entry)
    version = version_of(state, whole_number(entry, "version"))
    if version.version != rollout.version:
        raise Illegal(f"version {rollout.version} is in a rollout; it ends first")
    return version


def _apply_awaiting_approval(state: PipelineState, entry: Entry) -> PipelineState:
    version = candidate_of(state, entry)
    if whole_number(entry, "generation") != state.generation:
        raise Illegal(f"this is generation {state.generation}")
    if version.approved_by is not None:
        raise Illegal(f"version {version.version} was approved by {version.approved_by}")
    waiting = replace(
        version,
        status="awaiting_approval",
        reasons=(),
        judged_generation=state.generation,
        release=_mapping(entry, "release"),
    )
    return with_versions(state, waiting)


def _apply_approved(state: PipelineState, entry: Entry) -> PipelineState:
    version = version_of(state, whole_number(entry, "version"))
    if version.status != "awaiting_approval":
        raise Illegal(f"version {version.version} is {version.status}: it awaits no approval")
    if text(entry, "bundle") != version.bundle:
        raise Illegal(f"it approves another bundle than version {version.version} is")
    return with_versions(state, replace(version, status="registered", approved_by=entry.actor))


def _apply_started(state: PipelineState, entry: Entry) -> PipelineState:
    version = candidate_of(state, entry)
    if state.rollout is not None:
        raise Illegal(f"version {state.rollout.version} is in a rollout already")
    if state.champion is None:
        raise Illegal("there is no champion to roll it out beside")
    if whole_number(entry, "generation") != state.generation:
        raise Illegal(f"this is generation {state.generation}")
    strategy, guardrails = _mapping(entry, "strategy"), _mapping(entry, "guardrails")
    _check_strategy(strategy)
    started = replace(version, status="challenger", reasons=(), judged_generation=state.generation)
    rollout = Rollout(entry.number, version.version, strategy, guardrails, 0, entry.at)
    return replace(with_versions(state, started), rollout=rollout, rollouts=state.rollouts + 1)


def _apply_stepped(state: PipelineState, entry: Entry) -> PipelineState:
    rollout = _rollout_of(state, entry)
    step = whole_number(entry, "step")
    if step != rollout.step + 1 or step >= len(rollout.steps):
        raise Illegal(f"step {step} doesn't follow step {rollout.step} of {len(rollout.steps)}")
    return replace(state, rollout=replace(rollout, step=step, step_since=entry.at, paused=None))


def _apply_judged(state: PipelineState, entry: Entry) -> PipelineState:
    rollout = _rollout_of(state, entry)
    if rollout.metric is None:
        raise Illegal(f"no metric decides a rollout of kind {rollout.kind}")
    if rollout.verdict in ("better", "worse"):
        raise Illegal(f"it was judged already: {rollout.verdict}")
    look, verdict = whole_number(entry, "look"), text(entry, "verdict")
    if verdict not in VERDICTS:
        raise Illegal(f"{verdict!r} is no verdict")
    if look != rollout.looks + 1:
        raise Illegal(f"look {look} doesn't follow look {rollout.looks}")
    judged = replace(
        rollout,
        looks=look,
        judged_rows=whole_number(entry, "rows"),
        verdict=VERDICTS[verdict],
        verdict_reason=entry.reason,
    )
    return replace(state, rollout=judged)


def _apply_paused(state: PipelineState, entry: Entry) -> PipelineState:
    rollout = _rollout_of(state, entry)
    cause = text(entry, "cause")
    if cause not in PAUSES:
        raise Illegal(f"{cause!r} is no cause to pause")
    if rollout.paused == cause:
        raise Illegal(f"it is paused already: {cause}")
    return replace(state, rollout=replace(rollout, paused=cause))


def _apply_resumed(state: PipelineState, entry: Entry) -> PipelineState:
    rollout = _rollout_of(state, entry)
    if rollout.paused is None:
        raise Illegal("it isn't paused")
    return replace(state, rollout=replace(rollout, paused=None))


def _apply_ended(state: PipelineState, entry: Entry) -> PipelineState:
    rollout = _rollout_of(state, entry)
    outcome = text(entry, "outcome")
    if outcome not in ENDS:
        raise Illegal(f"{outcome!r} is no end of a rollout")
    version = state.versions[rollout.version]
    ended = replace(version, status=ENDS[outcome], reasons=(entry.reason,))
    return leave_rollout(with_versions(state, ended))


def _rollout_of(state: PipelineState, entry: Entry) -> Rollout:
    if state.rollout is None:
        raise Illegal("no rollout is under way")
    if "rollout" not in entry.data:
        raise Illegal(f"rollout {state.rollout.number} of version {state.rollout.version} is under way")
    if whole_number(entry, "rollout") != state.rollout.number:
        raise Illegal(f"it is rollout {state.rollout.number} that is under way")
    return state.rollout


def _check_strategy(strategy: Mapping[str, object]) -> None:
    if strategy.get("type") not in GRADUAL:
        raise Illegal(f"{strategy.get('type')!r} is no strategy that takes time")
    steps, bake_seconds = strategy.get("steps"), strategy.get("bake_seconds")
    if not isinstance(steps, list) or not steps or not all(_is_number(step) for step in steps):
        raise Illegal(f"its steps are {steps!r}, not percentages")
    if not _is_number(bake_seconds):
        raise Illegal(f"bake_seconds is {bake_seconds!r}, not a number")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _mapping(entry: Entry, name: str) -> Mapping[str, object]:
    value = entry.data.get(name)
    if not isinstance(value, Mapping):
        raise Illegal(f"{name} is {value!r}, not a mapping")
    return value


ROLLOUT_STEPS: Mapping[str, Callable[[PipelineState, Entry], PipelineState]] = MappingProxyType(
    {
        "awaiting_approval": _apply_awaiting_approval,
        "approved": _apply_approved,
        "rollout_started": _apply_started,
        "rollout_stepped": _apply_stepped,
        "rollout_judged": _apply_judged,
        "rollout_paused": _apply_paused,
        "rollout_resumed": _apply_resumed,
        "rollout_ended": _apply_ended,
    }
)
