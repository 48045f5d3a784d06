"""Owns what the entries of a journal mean: claims, versions, champions; pure, it reads and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from evertrain.journal.chain import JSON, Entry, Illegal
from evertrain.liveness import ProcessIdentity

Status: TypeAlias = Literal["registered", "held", "champion", "previous", "retired", "rolled_back"]
_WAS_CHAMPION = frozenset({"previous", "retired", "rolled_back"})


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


@dataclass(frozen=True)
class PipelineState:
    """One pipeline after its journal's entries.

    Attributes:
        number: The last entry that changed something.
        claims: By purpose, each claim that is held.
        versions: By number, each registered version.
        champions: The versions that a rollback would go back through, oldest first; the last is the champion.
        generation: How often the champion has changed.
    """

    number: int = 0
    claims: Mapping[str, Claim] = field(default_factory=dict)
    versions: Mapping[int, VersionState] = field(default_factory=dict)
    champions: tuple[int, ...] = ()
    generation: int = 0

    @property
    def champion(self) -> int | None:
        """The version that serves; None before the first promotion."""
        return self.champions[-1] if self.champions else None

    @property
    def previous(self) -> int | None:
        """The version that a plain rollback returns to; None if there is none."""
        return self.champions[-2] if len(self.champions) > 1 else None

    def find_run(self, run_key: str) -> VersionState | None:
        """The version that was registered under *run_key*; None if there is none."""
        return next((version for version in self.versions.values() if version.run_key == run_key), None)


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
    if held is None or held.number != _whole(entry, "from"):
        raise Illegal(f"{claim.purpose} is not held under claim {_whole(entry, 'from')}")
    if claim.attempt != held.attempt + 1:
        raise Illegal(f"the next attempt is {held.attempt + 1}, not {claim.attempt}")
    return _with_claim(state, claim)


def _apply_released(state: PipelineState, entry: Entry) -> PipelineState:
    purpose = _text(entry, "purpose")
    held = state.claims.get(purpose)
    if held is None or held.number != entry.fence:
        raise Illegal(f"{purpose} is not held under claim {entry.fence}")
    return replace(state, claims={key: claim for key, claim in state.claims.items() if key != purpose})


def _apply_registered(state: PipelineState, entry: Entry) -> PipelineState:
    version = VersionState(
        version=_whole(entry, "version"),
        run_key=_text(entry, "run_key"),
        run_id=_text(entry, "run_id"),
        bundle=_text(entry, "bundle"),
        snapshot=_text(entry, "snapshot"),
        config=_text(entry, "config"),
        code=_text(entry, "code"),
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
    if version.run_key != _text(entry, "run_key"):
        raise Illegal(f"version {version.version} has run key {version.run_key}")
    judged = _whole(entry, "generation")
    if judged != state.generation:
        raise Illegal(f"it was judged in generation {judged}, this is generation {state.generation}")
    held = replace(version, status="held", reasons=_texts(entry, "reasons"), judged_generation=judged)
    return _with_versions(state, held)


def _apply_promoted(state: PipelineState, entry: Entry) -> PipelineState:
    version = _candidate(state, entry)
    promoted = replace(version, reasons=(), judged_generation=state.generation)
    return _crown(_with_versions(state, promoted), entry, (*state.champions, version.version))


def _apply_rolled_back(state: PipelineState, entry: Entry) -> PipelineState:
    if state.champion is None or _whole(entry, "from") != state.champion:
        raise Illegal(f"version {_whole(entry, 'from')} is not the champion")
    back_to = _version(state, _whole(entry, "to"))
    if back_to.status not in _WAS_CHAMPION:
        raise Illegal(f"version {back_to.version} is {back_to.status}: it has not been champion before")
    below = state.champions[:-1]
    if back_to.version in below:
        below = below[: below.index(back_to.version)]
    after = _crown(state, entry, (*below, back_to.version))
    return _with_versions(after, replace(after.versions[state.champion], status="rolled_back"))


def _apply_alias_repaired(state: PipelineState, entry: Entry) -> PipelineState:
    _text(entry, "alias")
    for name in ("found", "set"):
        if name not in entry.data or not isinstance(entry.data[name], int | None):
            raise Illegal(f"{name} is {entry.data.get(name)!r}, not a version")
    return state


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
    }
)


def _crown(state: PipelineState, entry: Entry, champions: tuple[int, ...]) -> PipelineState:
    if _whole(entry, "generation") != state.generation + 1:
        raise Illegal(f"the next generation is {state.generation + 1}, not {_whole(entry, 'generation')}")
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
    version = _version(state, _whole(entry, "version"))
    if version.status not in ("registered", "held"):
        raise Illegal(f"version {version.version} is {version.status}, no longer a candidate")
    return version


def _claim_of(entry: Entry) -> Claim:
    owner = entry.data.get("owner")
    if not isinstance(owner, Mapping):
        raise Illegal("it names no owner")
    return Claim(
        number=entry.number,
        purpose=_text(entry, "purpose"),
        owner=_owner_of(owner),
        actor=entry.actor,
        since=entry.at,
        attempt=_whole(entry, "attempt"),
        lease_seconds=_positive(entry.data, "lease_seconds"),
    )


def _owner_of(owner: Mapping[str, JSON]) -> ProcessIdentity:
    match owner:
        case {
            "host": str(host),
            "host_id": str(host_id),
            "pid": int(pid),
            "started": int() | float() as start,
        }:
            return ProcessIdentity(host, host_id, pid, float(start))
    raise Illegal("its owner is not a process")


def _positive(data: Mapping[str, JSON], name: str) -> float:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise Illegal(f"{name} is {value!r}, not a number above 0")
    return float(value)


def _whole(entry: Entry, name: str) -> int:
    value = entry.data.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Illegal(f"{name} is {value!r}, not a whole number")
    return value


def _text(entry: Entry, name: str) -> str:
    value = entry.data.get(name)
    if not isinstance(value, str):
        raise Illegal(f"{name} is {value!r}, not a text")
    return value


def _texts(entry: Entry, name: str) -> tuple[str, ...]:
    value = entry.data.get(name)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Illegal(f"{name} is {value!r}, not a list of texts")
    return tuple(value)
