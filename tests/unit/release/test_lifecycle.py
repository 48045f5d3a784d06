from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from evertrain.journal.chain import ORIGIN, Entry, Illegal
from evertrain.liveness import ProcessIdentity
from evertrain.release.lifecycle import PipelineState, apply_entry

OWNER = asdict(ProcessIdentity("host", "host/boot/ns", 7, 5.0))
CLAIM = {"purpose": "train", "owner": OWNER, "attempt": 1, "lease_seconds": 15.0}
TAKEOVER = {**CLAIM, "attempt": 2, "from": 1}
RUN = {"run_key": "k1", "run_id": "r1", "bundle": "b1", "snapshot": "s1", "config": "c1", "code": "x1"}
ROLLBACK = {"from": 2, "to": 1, "generation": 3}


def registered(version: int) -> dict:
    return {"version": version, **{name: f"{value[0]}{version}" for name, value in RUN.items()}}


def held(version: int, generation: int = 0, reasons: object = ("worse",)) -> dict:
    return {
        "version": version,
        "run_key": f"k{version}",
        "reasons": list(reasons) if isinstance(reasons, tuple) else reasons,
        "generation": generation,
    }


def promoted(version: int, generation: int) -> dict:
    return {"version": version, "generation": generation}


def rolled_back(start: int, to: int, generation: int) -> dict:
    return {"from": start, "to": to, "generation": generation}


def entry(state: PipelineState, kind: str, data: dict, fence: int | None = None) -> Entry:
    return Entry(state.number + 1, "e", ORIGIN, kind, "p", "noon", "me", "", fence, data, "h")


def play(*steps: tuple) -> PipelineState:
    state = PipelineState()
    for kind, data, *fence in steps:
        state = apply_entry(state, entry(state, kind, data, *fence))
    return state


def statuses(state: PipelineState) -> dict[int, str]:
    return {number: version.status for number, version in state.versions.items()}


CHAMPIONS = tuple(
    step
    for version in (1, 2, 3)
    for step in (("registered", registered(version)), ("promoted", promoted(version, version)))
)


def test_a_claim_bears_its_entry_s_number() -> None:
    """The number of the entry is the fencing token; owner, time and attempt are told."""
    claim = play(("claimed", CLAIM)).claims["train"]
    assert (claim.number, claim.purpose, claim.attempt, claim.since) == (1, "train", 1, "noon")
    assert asdict(claim.owner) == OWNER


def test_a_takeover_replaces_the_claim_and_counts() -> None:
    """Whoever takes over gets a new token and the next attempt."""
    claim = play(("claimed", CLAIM), ("taken_over", TAKEOVER)).claims["train"]
    assert (claim.number, claim.attempt) == (2, 2)


def test_a_released_purpose_is_free_again() -> None:
    """After a release the purpose may be claimed as if for the first time; other purposes stay."""
    rollout = {**CLAIM, "purpose": "rollout"}
    state = play(
        ("claimed", CLAIM), ("claimed", rollout), ("released", {"purpose": "train"}, 1), ("claimed", CLAIM)
    )
    assert {purpose: claim.number for purpose, claim in state.claims.items()} == {"rollout": 2, "train": 4}


def test_a_version_goes_from_registered_by_held_to_champion() -> None:
    """Held keeps its reasons and the generation it was judged in; promotion clears the reasons."""
    state = play(("registered", registered(1)), ("held", held(1)))
    assert statuses(state) == {1: "held"}
    assert state.versions[1].reasons == ("worse",)
    assert state.versions[1].judged_generation == 0
    state = apply_entry(state, entry(state, "promoted", promoted(1, 1)))
    assert (state.champion, state.previous, state.generation) == (1, None, 1)
    assert state.versions[1].reasons == ()


def test_each_promotion_moves_the_earlier_champions_down() -> None:
    """There is one champion, at most one previous, and the others are retired."""
    state = play(*CHAMPIONS)
    assert statuses(state) == {1: "retired", 2: "previous", 3: "champion"}
    assert (state.champion, state.previous, state.generation) == (3, 2, 3)


@pytest.mark.parametrize(
    ("rollbacks", "champions", "status"),
    [
        ([(3, 2)], (1, 2), {1: "previous", 2: "champion", 3: "rolled_back"}),
        ([(3, 2), (2, 1)], (1,), {1: "champion", 2: "rolled_back", 3: "rolled_back"}),
        ([(3, 1)], (1,), {1: "champion", 2: "retired", 3: "rolled_back"}),
        ([(3, 2), (2, 3)], (1, 3), {1: "previous", 2: "rolled_back", 3: "champion"}),
        ([(3, 1), (1, 2)], (2,), {1: "rolled_back", 2: "champion", 3: "rolled_back"}),
    ],
)
def test_a_rollback_goes_back_through_the_champions(rollbacks, champions, status) -> None:
    """What is rolled back from is never the next plain rollback's aim; it may be named explicitly."""
    steps = [
        ("rolled_back", rolled_back(start, to, generation))
        for generation, (start, to) in enumerate(rollbacks, 4)
    ]
    state = play(*CHAMPIONS, *steps)
    assert state.champions == champions
    assert statuses(state) == status
    assert state.generation == 3 + len(rollbacks)


def test_registering_again_with_the_same_facts_changes_nothing() -> None:
    """A run that is resumed may register twice; its version keeps its status."""
    once = play(("registered", registered(1)), ("promoted", promoted(1, 1)))
    twice = apply_entry(once, entry(once, "registered", registered(1)))
    assert twice == replace(once, number=3)
    assert twice.find_run("k1") == once.versions[1]
    assert twice.find_run("k2") is None


def test_a_repaired_alias_changes_no_state() -> None:
    """The registry follows the journal, never the other way round."""
    before = play(*CHAMPIONS)
    repair = {"alias": "champion", "found": None, "set": 3}
    assert apply_entry(before, entry(before, "alias_repaired", repair)) == replace(before, number=7)


TWO = CHAMPIONS[:4]
ILLEGAL = [
    ((), "what", {}, "isn't a kind"),
    ((("claimed", CLAIM),), "claimed", CLAIM, "train is held under claim 1"),
    ((), "claimed", {**CLAIM, "attempt": 2}, "first attempt"),
    ((), "claimed", {**CLAIM, "owner": "me"}, "names no owner"),
    ((), "claimed", {**CLAIM, "owner": {}}, "owner is not a process"),
    ((), "claimed", {**CLAIM, "owner": {**OWNER, "pid": "7"}}, "owner is not a process"),
    ((), "claimed", {**CLAIM, "lease_seconds": 0}, "lease_seconds is 0"),
    ((), "claimed", {**CLAIM, "lease_seconds": True}, "lease_seconds is True"),
    ((), "claimed", {**CLAIM, "purpose": None}, "purpose is None"),
    ((), "taken_over", TAKEOVER, "not held under claim 1"),
    ((("claimed", CLAIM),), "taken_over", {**TAKEOVER, "from": 2}, "not held under claim 2"),
    ((("claimed", CLAIM),), "taken_over", {**TAKEOVER, "attempt": 1}, "next attempt is 2"),
    ((("claimed", CLAIM),), "released", {"purpose": "train"}, "not held under claim None"),
    ((("claimed", CLAIM),), "released", {"purpose": "rollout"}, "rollout is not held"),
    ((), "registered", {**registered(1), "version": 0}, "can't be a version"),
    ((), "registered", {**registered(1), "version": "1"}, "not a whole number"),
    ((), "registered", {**registered(1), "version": True}, "not a whole number"),
    ((), "registered", {**registered(1), "bundle": None}, "bundle is None"),
    (TWO, "registered", {**registered(1), "bundle": "b9"}, "version 1 is registered with other facts"),
    (TWO, "registered", {**registered(1), "version": 3}, "run key k1 is registered as version 1"),
    ((), "held", held(1), "version 1 is not registered"),
    (TWO, "held", held(2, 2), "version 2 is champion"),
    (TWO, "held", held(1, 2), "version 1 is previous"),
    (TWO[:1], "held", {**held(1), "run_key": "k2"}, "version 1 has run key k1"),
    (TWO[:1], "held", held(1, 4), "judged in generation 4"),
    (TWO[:1], "held", held(1, 0, "worse"), "not a list"),
    (TWO[:1], "held", held(1, 0, (1,)), "not a list"),
    ((), "promoted", promoted(1, 1), "version 1 is not registered"),
    (TWO, "promoted", promoted(1, 3), "version 1 is previous"),
    (TWO[:1], "promoted", promoted(1, 2), "next generation is 1"),
    (TWO[:1], "promoted", promoted(1, 0), "next generation is 1"),
    ((), "rolled_back", ROLLBACK, "version 2 is not the champion"),
    (TWO, "rolled_back", rolled_back(1, 2, 3), "version 1 is not the champion"),
    (TWO, "rolled_back", rolled_back(2, 2, 3), "version 2 is champion"),
    (TWO, "rolled_back", rolled_back(2, 9, 3), "version 9 is not registered"),
    (TWO, "rolled_back", rolled_back(2, 1, 2), "next generation is 3"),
    ((*TWO, ("registered", registered(3))), "rolled_back", rolled_back(2, 3, 3), "not been champion"),
    ((), "alias_repaired", {"found": 1, "set": 1}, "alias is None"),
    ((), "alias_repaired", {"alias": "champion", "found": 1}, "set is None"),
    ((), "alias_repaired", {"alias": "champion", "found": "1", "set": 1}, "found is '1'"),
]


@pytest.mark.parametrize(("before", "kind", "data", "verdict"), ILLEGAL)
def test_what_is_not_legal_says_why(before: tuple, kind: str, data: dict, verdict: str) -> None:
    """Each illegal entry has a reason that names the thing at fault."""
    state = play(*before)
    with pytest.raises(Illegal, match=verdict):
        apply_entry(state, entry(state, kind, data))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("registered", registered(1)),
        ("released", {"purpose": "train"}),
        ("claimed", {**CLAIM, "purpose": "x"}),
    ],
)
def test_who_lost_a_claim_writes_nothing(kind: str, data: dict) -> None:
    """An entry under a claim that was taken over is illegal, whatever it says."""
    state = play(("claimed", CLAIM), ("taken_over", TAKEOVER))
    with pytest.raises(Illegal, match="claim 1, under which it was written"):
        apply_entry(state, entry(state, kind, data, 1))
    fresh = apply_entry(state, entry(state, "registered", registered(1), 2))
    assert statuses(fresh) == {1: "registered"}
