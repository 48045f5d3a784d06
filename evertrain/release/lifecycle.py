"""Owns what the entries of a journal mean: claims, versions, champions; pure, it reads and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from evertrain.drift_records import CAME_TO_A_DECISION, MOST_CHECKS, PastCheck
from evertrain.journal.chain import Entry, Illegal
from evertrain.release.changes import candidate_of, version_of, with_versions
from evertrain.release.fields import owner_of, positive, sizes, text, texts, whole_number
from evertrain.release.rollout_lifecycle import ROLLOUT_STEPS, end_rollout, leave_rollout
from evertrain.release.state import (
    KEEP_WARM_SECONDS,
    Claim,
    PipelineState,
    Retrain,
    Status,
    VersionState,
)

__all__ = ["Claim", "PipelineState", "Status", "VersionState", "apply_entry"]

MOST_LOOKS = 50
TOO_LITTLE_DATA = "too_little_data"
_WAS_CHAMPION = frozenset({"previous", "retired", "rolled_back"})


def apply_entry(state: PipelineState, entry: Entry) -> PipelineState:
    """The state after *entry*.

    Raises:
        Illegal: *entry* isn't legal in *state*, or says something that can't be understood.
    """
    step = _STEPS.get(entry.kind)
    if step is None:
        raise Illegal(f"{entry.kind!r} isn't a kind of entry")
    if entry.fence is not None and all(claim.number != entry.fence for claim in state.claims.values()):
        raise Illegal(f"claim {entry.fence}, under which it was written, is no longer held")
    return replace(step(state, entry), number=entry.number)


def _apply_claimed(state: PipelineState, entry: Entry) -> PipelineState:
    claim = _claim_of(entry)
    held = state.claims.get(claim.purpose)
    if held is not None:
        raise Illegal(f"{claim.purpose} is held under claim {held.number}")
    if claim.attempt != 1:
        raise Illegal(f"the first attempt is 1, not {claim.attempt}")
    return _with_claim(state, claim)


def _apply_taken_over(state: PipelineState, entry: Entry) -> PipelineState:
    claim = _claim_of(entry)
    held = state.claims.get(claim.purpose)
    if held is None or held.number != whole_number(entry, "from"):
        raise Illegal(f"{claim.purpose} is not held under claim {whole_number(entry, 'from')}")
    if claim.attempt != held.attempt + 1:
        raise Illegal(f"the next attempt is {held.attempt + 1}, not {claim.attempt}")
    return _with_claim(state, claim)


def _apply_released(state: PipelineState, entry: Entry) -> PipelineState:
    purpose = text(entry, "purpose")
    held = state.claims.get(purpose)
    if held is None or held.number != entry.fence:
        raise Illegal(f"{purpose} is not held under claim {entry.fence}")
    return replace(state, claims={key: claim for key, claim in state.claims.items() if key != purpose})


def _apply_registered(state: PipelineState, entry: Entry) -> PipelineState:
    version = VersionState(
        version=whole_number(entry, "version"),
        run_key=text(entry, "run_key"),
        run_id=text(entry, "run_id"),
        bundle=text(entry, "bundle"),
        snapshot=text(entry, "snapshot"),
        config=text(entry, "config"),
        code=text(entry, "code"),
        look=whole_number(entry, "look") if "look" in entry.data else None,
        holdout=text(entry, "holdout") if "look" in entry.data else None,
    )
    if version.version < 1:
        raise Illegal(f"{version.version} can't be a version")
    for known in state.versions.values():
        if known.version == version.version and not _has_same_facts(known, version):
            raise Illegal(f"version {known.version} is registered with other facts")
        if known.run_key == version.run_key and known.version != version.version:
            raise Illegal(f"run key {known.run_key} is registered as version {known.version}")
    return state if version.version in state.versions else with_versions(state, version)


def _apply_held(state: PipelineState, entry: Entry) -> PipelineState:
    version = candidate_of(state, entry)
    if version.run_key != text(entry, "run_key"):
        raise Illegal(f"version {version.version} has run key {version.run_key}")
    judged = whole_number(entry, "generation")
    if judged != state.generation:
        raise Illegal(f"it was judged in generation {judged}, this is generation {state.generation}")
    held = replace(version, status="held", reasons=texts(entry, "reasons"), judged_generation=judged)
    return with_versions(state, held)


def _apply_promoted(state: PipelineState, entry: Entry) -> PipelineState:
    if state.rollout is None:
        version = candidate_of(state, entry)
    else:
        version = end_rollout(state, entry)
        state = leave_rollout(state)
    promoted = replace(version, reasons=(), judged_generation=state.generation)
    warm_seconds = positive(entry.data, "keep_warm_seconds") if "keep_warm_seconds" in entry.data else None
    state = replace(state, keep_warm_seconds=warm_seconds or KEEP_WARM_SECONDS)
    return _crown(with_versions(state, promoted), entry, (*state.champions, version.version))


def _apply_rolled_back(state: PipelineState, entry: Entry) -> PipelineState:
    left = whole_number(entry, "from")
    if state.champion is None or left != state.champion:
        raise Illegal(f"version {left} is not the champion")
    back_to = version_of(state, whole_number(entry, "to"))
    if back_to.status not in _WAS_CHAMPION:
        raise Illegal(f"version {back_to.version} is {back_to.status}: it has not been champion before")
    if state.rollout is not None:
        # Its challenger was held against the champion that is left now.
        challenger = state.versions[state.rollout.version]
        state = leave_rollout(with_versions(state, replace(challenger, status="aborted")))
    below = state.champions[:-1]
    if back_to.version in below:
        below = below[: below.index(back_to.version)]
    after = _crown(state, entry, (*below, back_to.version))
    return with_versions(after, replace(after.versions[left], status="rolled_back"))


def _apply_alias_repaired(state: PipelineState, entry: Entry) -> PipelineState:
    text(entry, "alias")
    for name in ("found", "set"):
        if name not in entry.data or not isinstance(entry.data[name], int | None):
            raise Illegal(f"{name} is {entry.data.get(name)!r}, not a version")
    return state


def _apply_checked(state: PipelineState, entry: Entry) -> PipelineState:
    check = PastCheck(
        as_of=text(entry, "as_of"),
        generation=whole_number(entry, "generation"),
        triggers=texts(entry, "triggers"),
        sizes=sizes(entry, "sizes"),
        counted=entry.data.get("counted") is True,
        called=text(entry, "retrain") == "started",
    )
    if text(entry, "decision") == TOO_LITTLE_DATA:
        # A window without enough rows is no opinion.
        return state
    if check.generation == state.generation:
        state = replace(state, retrains=state.retrains.with_check(check))
    return replace(state, checks=_keep_newest((*state.checks, check)))


def _keep_newest(checks: tuple[PastCheck, ...]) -> tuple[PastCheck, ...]:
    # Between two looks that count there may be more checks than are kept.
    looks = tuple(check for check in checks[:-MOST_CHECKS] if check.counted)
    return looks[-MOST_LOOKS:] + checks[-MOST_CHECKS:]


def _apply_retrain_started(state: PipelineState, entry: Entry) -> PipelineState:
    _require_fence(entry)
    return replace(state, retrain=Retrain(text(entry, "as_of"), causes=sizes(entry, "causes")))


def _apply_retrain_ended(state: PipelineState, entry: Entry) -> PipelineState:
    _require_fence(entry)
    begun, ended = state.retrain, text(entry, "decision")
    if begun is None or begun.ended is not None:
        raise Illegal("no retrain that a check started is under way")
    if ended in CAME_TO_A_DECISION:
        state = replace(state, retrains=state.retrains.with_retrain(begun.as_of, begun.causes))
    return replace(state, retrain=replace(begun, ended=ended))


def _require_fence(entry: Entry) -> None:
    if entry.fence is None:
        raise Illegal("it is written under no claim")


_STEPS = MappingProxyType(
    {
        "claimed": _apply_claimed,
        "taken_over": _apply_taken_over,
        "released": _apply_released,
        "registered": _apply_registered,
        "held": _apply_held,
        "promoted": _apply_promoted,
        "rolled_back": _apply_rolled_back,
        "alias_repaired": _apply_alias_repaired,
        "checked": _apply_checked,
        "retrain_started": _apply_retrain_started,
        "retrain_ended": _apply_retrain_ended,
        **ROLLOUT_STEPS,
    }
)


def _crown(state: PipelineState, entry: Entry, champions: tuple[int, ...]) -> PipelineState:
    if whole_number(entry, "generation") != state.generation + 1:
        raise Illegal(
            f"the next generation is {state.generation + 1}, not {whole_number(entry, 'generation')}"
        )
    after = replace(state, champions=champions, generation=state.generation + 1)
    stale = [state.versions[number] for number in {*state.champions, *champions}]
    return with_versions(after, *(replace(version, status=_standing(after, version)) for version in stale))


def _standing(state: PipelineState, version: VersionState) -> Status:
    if version.version == state.champion:
        return "champion"
    return "previous" if version.version == state.previous else "retired"


def _with_claim(state: PipelineState, claim: Claim) -> PipelineState:
    return replace(state, claims={**state.claims, claim.purpose: claim})


def _has_same_facts(known: VersionState, version: VersionState) -> bool:
    fared = ("status", "reasons", "judged_generation", "approved_by", "release")
    return version == replace(known, **{name: getattr(version, name) for name in fared})


def _claim_of(entry: Entry) -> Claim:
    owner = entry.data.get("owner")
    if not isinstance(owner, Mapping):
        raise Illegal("it names no owner")
    return Claim(
        number=entry.number,
        purpose=text(entry, "purpose"),
        owner=owner_of(owner),
        actor=entry.actor,
        since=entry.at,
        attempt=whole_number(entry, "attempt"),
        lease_seconds=positive(entry.data, "lease_seconds"),
    )
