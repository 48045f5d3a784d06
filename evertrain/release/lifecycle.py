"""Owns what the entries of a journal mean: claims, versions, champions; pure, it reads and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from evertrain.drift_records import PastCheck
from evertrain.journal.chain import Entry, Illegal
from evertrain.release.fields import owner_of, positive, text, texts, whole_number
from evertrain.release.state import Claim, PipelineState, Retrain, Status, VersionState

__all__ = ["Claim", "PipelineState", "Status", "VersionState", "apply_entry"]

MOST_CHECKS = 100
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
    return state if version.version in state.versions else _with_versions(state, version)


def _apply_held(state: PipelineState, entry: Entry) -> PipelineState:
    version = _candidate(state, entry)
    if version.run_key != text(entry, "run_key"):
        raise Illegal(f"version {version.version} has run key {version.run_key}")
    judged = whole_number(entry, "generation")
    if judged != state.generation:
        raise Illegal(f"it was judged in generation {judged}, this is generation {state.generation}")
    held = replace(version, status="held", reasons=texts(entry, "reasons"), judged_generation=judged)
    return _with_versions(state, held)


def _apply_promoted(state: PipelineState, entry: Entry) -> PipelineState:
    version = _candidate(state, entry)
    promoted = replace(version, reasons=(), judged_generation=state.generation)
    return _crown(_with_versions(state, promoted), entry, (*state.champions, version.version))


def _apply_rolled_back(state: PipelineState, entry: Entry) -> PipelineState:
    if state.champion is None or whole_number(entry, "from") != state.champion:
        raise Illegal(f"version {whole_number(entry, 'from')} is not the champion")
    back_to = _version(state, whole_number(entry, "to"))
    if back_to.status not in _WAS_CHAMPION:
        raise Illegal(f"version {back_to.version} is {back_to.status}: it has not been champion before")
    below = state.champions[:-1]
    if back_to.version in below:
        below = below[: below.index(back_to.version)]
    after = _crown(state, entry, (*below, back_to.version))
    return _with_versions(after, replace(after.versions[state.champion], status="rolled_back"))


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
    )
    text(entry, "retrain")
    if text(entry, "decision") == TOO_LITTLE_DATA:
        # A window without enough rows is no opinion.
        return state
    return replace(state, checks=(*state.checks, check)[-MOST_CHECKS:])


def _apply_retrain_started(state: PipelineState, entry: Entry) -> PipelineState:
    _require_fence(entry)
    return replace(state, retrain=Retrain(text(entry, "as_of")))


def _apply_retrain_ended(state: PipelineState, entry: Entry) -> PipelineState:
    _require_fence(entry)
    if state.retrain is None or state.retrain.ended is not None:
        raise Illegal("no retrain that a check started is under way")
    return replace(state, retrain=replace(state.retrain, ended=text(entry, "decision")))


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
    }
)


def _crown(state: PipelineState, entry: Entry, champions: tuple[int, ...]) -> PipelineState:
    if whole_number(entry, "generation") != state.generation + 1:
        raise Illegal(
            f"the next generation is {state.generation + 1}, not {whole_number(entry, 'generation')}"
        )
    after = replace(state, champions=champions, generation=state.generation + 1)
    stale = [state.versions[number] for number in {*state.champions, *champions}]
    return _with_versions(after, *(replace(version, status=_standing(after, version)) for version in stale))


def _standing(state: PipelineState, version: VersionState) -> Status:
    if version.version == state.champion:
        return "champion"
    return "previous" if version.version == state.previous else "retired"


def _with_versions(state: PipelineState, *versions: VersionState) -> PipelineState:
    return replace(state, versions={**state.versions, **{version.version: version for version in versions}})


def _with_claim(state: PipelineState, claim: Claim) -> PipelineState:
    return replace(state, claims={**state.claims, claim.purpose: claim})


def _version(state: PipelineState, number: int) -> VersionState:
    if number not in state.versions:
        raise Illegal(f"version {number} is not registered")
    return state.versions[number]


def _has_same_facts(known: VersionState, version: VersionState) -> bool:
    return version == replace(
        known, status=version.status, reasons=version.reasons, judged_generation=version.judged_generation
    )


def _candidate(state: PipelineState, entry: Entry) -> VersionState:
    version = _version(state, whole_number(entry, "version"))
    if version.status not in ("registered", "held"):
        raise Illegal(f"version {version.version} is {version.status}, no longer a candidate")
    return version


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
