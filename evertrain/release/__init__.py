"""Owns what may be written to a pipeline's journal: each ``decide_*`` makes a pure decision to append."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeAlias

from evertrain.errors import ConfigError, Conflict
from evertrain.journal import Clock, Journal, utc_now
from evertrain.journal.chain import JSON, Draft, Fold
from evertrain.liveness import ProcessIdentity
from evertrain.release.lifecycle import Claim, PipelineState, Status, VersionState, apply_entry
from evertrain.release.state import KEEP_WARM_SECONDS
from evertrain.release.state_codec import state_codec
from evertrain.storage import Store

__all__ = ["Claim", "Decide", "PipelineState", "ReleaseJournal", "Status", "VersionState", "open_journal"]

Decide: TypeAlias = Callable[[PipelineState], Draft]
ReleaseJournal: TypeAlias = Journal[PipelineState]


def open_journal(store: Store, pipeline: str, actor: str, *, clock: Clock = utc_now) -> ReleaseJournal:
    """The journal of *pipeline*, in which *actor* writes; nothing is read or written yet.

    Raises:
        ConfigError: *pipeline* isn't a pipeline's name.
    """
    return Journal(
        store, pipeline, fold=Fold(PipelineState(), apply_entry, state_codec()), actor=actor, clock=clock
    )


def decide_claimed(purpose: str, owner: ProcessIdentity, lease_seconds: float) -> Decide:
    """Claim *purpose* for *owner*; a Conflict if it is held."""
    data = _claim_data(purpose, owner, 1, lease_seconds)
    return lambda _: Draft("claimed", data)


def decide_taken_over(dead: Claim, owner: ProcessIdentity, lease_seconds: float) -> Decide:
    """Take *dead*'s purpose over for *owner*; a Conflict if someone else released it or took it over."""
    data = _claim_data(dead.purpose, owner, dead.attempt + 1, lease_seconds)
    reason = f"process {dead.owner.pid} on {dead.owner.host} ended without releasing it"
    return lambda _: Draft("taken_over", {**data, "from": dead.number}, reason)


def decide_released(purpose: str, number: int) -> Decide:
    """Give back *purpose*, held under claim *number*; a Conflict if someone else has taken it over."""
    return lambda _: Draft("released", {"purpose": purpose}, fence=number)


def decide_registered(  # noqa: PLR0913 - the facts of a version, each by name
    *,
    version: int,
    run_key: str,
    run_id: str,
    bundle: str,
    snapshot: str,
    config: str,
    code: str,
    look: int | None = None,
    holdout: str | None = None,
    fence: int | None = None,
) -> Decide:
    """Register *version* with its facts (digests but for *run_id* and *look*).

    *look* and *holdout* are the ledger of reused hold-outs; where no champion was challenged there are none.
    The same facts twice change nothing; the same version or run key with other facts is a Conflict.
    """
    facts = {"run_key": run_key, "run_id": run_id, "bundle": bundle, "snapshot": snapshot, "config": config}
    data: dict[str, JSON] = {"version": version, **facts, "code": code}
    if look is not None:
        data |= {"look": look, "holdout": holdout}
    return lambda _: Draft("registered", data, fence=fence)


def decide_held(
    *,
    version: int,
    run_key: str,
    reasons: Sequence[str],
    judged_generation: int | None = None,
    fence: int | None = None,
) -> Decide:
    """Hold *version*, for *reasons*.

    Args:
        version: A registered version that has not been champion.
        run_key: Its run key.
        reasons: What each gate that failed said.
        judged_generation: The generation it was judged in; a Conflict if the champion changed since.
        fence: The number of the claim that this is written under.
    """

    def decide(state: PipelineState) -> Draft:
        check_generation(state, version, judged_generation)
        judged: dict[str, JSON] = {"version": version, "run_key": run_key, "reasons": list(reasons)}
        return Draft("held", {**judged, "generation": state.generation}, "; ".join(reasons), fence)

    return decide


def decide_promoted(
    *,
    version: int,
    judged_generation: int | None = None,
    keep_warm_seconds: float = KEEP_WARM_SECONDS,
    fence: int | None = None,
    reason: str = "",
) -> Decide:
    """Make *version*, registered or held, the champion.

    Args:
        version: The version.
        judged_generation: The generation it was judged in; a Conflict if the champion changed since.
        keep_warm_seconds: How long the one before stays loaded in the service.
        fence: The number of the claim that this is written under.
        reason: Why, for the audit.
    """

    def decide(state: PipelineState) -> Draft:
        check_generation(state, version, judged_generation)
        data: dict[str, JSON] = {"version": version, "generation": state.generation + 1}
        if keep_warm_seconds != KEEP_WARM_SECONDS:
            data["keep_warm_seconds"] = keep_warm_seconds
        return Draft("promoted", data, reason, fence)

    return decide


def decide_rolled_back(*, to: int | None = None, reason: str = "", fence: int | None = None) -> Decide:
    """Make an earlier champion the champion again.

    Args:
        to: Which version; None: the champion before this one.
        reason: Why, for the audit.
        fence: The number of the claim that this is written under.

    Returns:
        A decision that raises ConfigError, naming the versions, where *to* isn't an earlier champion.
    """

    def decide(state: PipelineState) -> Draft:
        back_to = state.previous if to is None else to
        if state.champion is None or back_to is None or back_to not in _earlier_champions(state):
            raise _no_such_champion(state, to)
        data = {"from": state.champion, "to": back_to, "generation": state.generation + 1}
        return Draft("rolled_back", data, reason, fence)

    return decide


def decide_alias_repaired(*, alias: str, found: int | None, repaired_to: int | None, reason: str) -> Decide:
    """Record that the registry's *alias*, found on version *found*, was put back on *repaired_to*."""
    return lambda _: Draft("alias_repaired", {"alias": alias, "found": found, "set": repaired_to}, reason)


def _claim_data(purpose: str, owner: ProcessIdentity, attempt: int, lease_seconds: float) -> dict[str, JSON]:
    return {"purpose": purpose, "owner": asdict(owner), "attempt": attempt, "lease_seconds": lease_seconds}


def check_generation(state: PipelineState, version: int, judged: int | None) -> None:
    """Raise Conflict if the champion changed since *version* was judged in generation *judged*."""
    if judged is not None and judged != state.generation:
        raise Conflict(
            f"The champion changed while version {version} was judged: that was generation {judged}, "
            f"this is {state.generation}. Train again: it will be judged against version {state.champion}.",
            version=version,
        )


def _earlier_champions(state: PipelineState) -> list[int]:
    was_champion = ("previous", "retired", "rolled_back")
    return [version.version for version in state.versions.values() if version.status in was_champion]


def _no_such_champion(state: PipelineState, to: int | None) -> ConfigError:
    what = "There is no earlier champion" if to is None else f"Version {to} is not an earlier champion"
    listed = ", ".join(f"{known.version} ({known.status})" for known in state.versions.values()) or "none"
    return ConfigError(
        f"{what}; a rollback goes to a version that was champion before. Versions: {listed}. "
        "Choose one with --to.",
        versions=sorted(state.versions),
    )
