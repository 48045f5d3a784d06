from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evertrain.canonical import canonical_json
from evertrain.errors import ConfigError, Conflict
from evertrain.journal.chain import ORIGIN, Draft, Entry, encode_entry, entry_key, hash_of, head_key
from evertrain.liveness import ProcessIdentity
from evertrain.release import (
    PipelineState,
    ReleaseJournal,
    decide_claimed,
    decide_held,
    decide_promoted,
    decide_registered,
    decide_released,
    decide_rolled_back,
    decide_taken_over,
    open_journal,
)

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
OWNER = ProcessIdentity("box", "box/boot/ns", 7, 1.0)
FACTS = ("run_id", "bundle", "snapshot", "config", "code")
WRITERS = st.integers(0, 2)
VERSIONS = st.integers(1, 5)


class MemoryStore:
    """A store in a dictionary."""

    where = "memory"

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.held.get(key)

    def put(self, key: str, data: bytes) -> None:
        self.held[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.held.setdefault(key, data) is data

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.held if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        self.held.pop(key, None)

    def age_seconds(self, key: str) -> float | None:
        return None

    def get_if_changed(self, key: str, tag: str | None) -> tuple[bytes, str] | None:
        raise NotImplementedError


@dataclass
class Model:
    """What should be so, in the fewest words: written without a look at the fold."""

    token: int | None = None
    attempt: int = 0
    tokens: list[int] = field(default_factory=list)
    candidates: dict[int, str] = field(default_factory=dict)
    crowned: set[int] = field(default_factory=set)
    stack: list[int] = field(default_factory=list)
    generation: int = 0
    entries: int = 0

    def accepts(self, fence: int | None) -> bool:
        return fence is None or fence == self.token


class Release(RuleBasedStateMachine):
    """Three writers with caches of their own act at random; legal acts land, all others change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.writers = [self.open(f"writer-{number}") for number in range(3)]
        self.model = Model()

    def open(self, actor: str) -> ReleaseJournal:
        return open_journal(self.store, "flights", actor, clock=lambda: NOON)

    def act(self, writer: int, decide: Callable[[PipelineState], Draft], legal: bool) -> bool:
        """Append and compare with what the model says of it."""
        journal = self.writers[writer]
        if legal:
            journal.append(decide)
            self.model.entries += 1
        else:
            with pytest.raises((Conflict, ConfigError)):
                journal.append(decide)
        return legal

    def fence(self, choice: int) -> int | None:
        """None, or one of all tokens that were ever handed out, held or not."""
        tokens = [None, *self.model.tokens]
        return tokens[choice % len(tokens)]

    @rule(writer=WRITERS)
    def claim(self, writer: int) -> None:
        if self.act(writer, decide_claimed("train", OWNER, 15.0), self.model.token is None):
            self.take(1)

    @precondition(lambda self: self.model.tokens)
    @rule(writer=WRITERS, choice=st.integers(0, 9))
    def take_over(self, writer: int, choice: int) -> None:
        claims = self.open("reader").read()[1].claims
        held = claims.get("train")
        wanted = self.model.tokens[choice % len(self.model.tokens)]
        if held is None or held.number != wanted:
            return
        self.act(writer, decide_taken_over(held, OWNER, 15.0), legal=True)
        self.take(self.model.attempt + 1)
        self.act(writer, decide_taken_over(held, OWNER, 15.0), legal=False)

    def take(self, attempt: int) -> None:
        self.model.token, self.model.attempt = self.model.entries, attempt
        self.model.tokens.append(self.model.entries)

    @precondition(lambda self: self.model.tokens)
    @rule(writer=WRITERS, choice=st.integers(0, 9))
    def release(self, writer: int, choice: int) -> None:
        token = self.model.tokens[choice % len(self.model.tokens)]
        if self.act(writer, decide_released("train", token), token == self.model.token):
            self.model.token = None

    @rule(writer=WRITERS, version=VERSIONS, choice=st.integers(0, 9), twisted=st.booleans())
    def register(self, writer: int, version: int, choice: int, twisted: bool) -> None:
        fence = self.fence(choice)
        known = version in self.model.candidates or version in self.model.crowned
        facts = dict.fromkeys(FACTS, "twisted" if twisted and known else f"fact-{version}")
        decide = decide_registered(version=version, run_key=f"k{version}", **facts, fence=fence)
        legal = self.model.accepts(fence) and not (twisted and known)
        if self.act(writer, decide, legal) and not known:
            self.model.candidates[version] = "registered"

    @rule(writer=WRITERS, version=VERSIONS, choice=st.integers(0, 9))
    def hold(self, writer: int, version: int, choice: int) -> None:
        fence = self.fence(choice)
        decide = decide_held(version=version, run_key=f"k{version}", reasons=["worse"], fence=fence)
        if self.act(writer, decide, self.model.accepts(fence) and version in self.model.candidates):
            self.model.candidates[version] = "held"

    @rule(writer=WRITERS, version=VERSIONS, choice=st.integers(0, 9), late=st.booleans())
    def promote(self, writer: int, version: int, choice: int, late: bool) -> None:
        fence = self.fence(choice)
        judged = self.model.generation - late
        decide = decide_promoted(version=version, judged_generation=judged, fence=fence)
        legal = self.model.accepts(fence) and version in self.model.candidates and not late
        if self.act(writer, decide, legal):
            del self.model.candidates[version]
            self.crown([*self.model.stack, version])

    @rule(writer=WRITERS, to=st.none() | VERSIONS)
    def roll_back(self, writer: int, to: int | None) -> None:
        below = self.model.stack[:-1]
        aim = (below[-1] if below else None) if to is None else to
        legal = aim in self.model.crowned and aim != self.model.stack[-1]
        if self.act(writer, decide_rolled_back(to=to), legal) and aim is not None:
            self.crown([*(below[: below.index(aim)] if aim in below else below), aim])

    def crown(self, stack: list[int]) -> None:
        self.model.stack = stack
        self.model.crowned.update(stack)
        self.model.generation += 1

    @rule(
        kind=st.sampled_from(["promoted", "released", "rolled_back", "nonsense"]),
        fence=st.none() | st.just(999),
    )
    def write_past_the_checks(self, kind: str, fence: int | None) -> None:
        """A foreign program links an illegal entry into the chain: folds pass over it."""
        entries, _ = self.open("reader").read()
        number, previous = len(entries) + 1, entries[-1].hash if entries else ORIGIN
        data = {"purpose": "train", "version": 99, "from": 99, "to": 99, "generation": 1}
        forged = Entry(number, "x", previous, kind, "flights", "t", "late", "", fence, data, "")
        body = encode_entry(forged)
        self.store.put(entry_key("flights", number), body)
        self.store.put(head_key("flights"), canonical_json({"number": number, "hash": hash_of(body)}))
        self.model.entries += 1

    @invariant()
    def the_journal_says_what_the_model_says(self) -> None:
        entries, state = self.open("reader").read()
        model = self.model
        held = state.claims.get("train")
        assert len(entries) == model.entries
        assert (held.number if held else None) == model.token
        assert state.champions == tuple(model.stack)
        assert state.generation == model.generation
        statuses = {version.version: version.status for version in state.versions.values()}
        assert {number for number in statuses if number not in model.candidates} == model.crowned
        assert {number: statuses[number] for number in model.candidates} == model.candidates
        assert [number for number, status in statuses.items() if status == "champion"] == model.stack[-1:]
        assert [number for number, status in statuses.items() if status == "previous"] == model.stack[-2:-1]
        problems = self.open("reader").verify().problems
        assert all("isn't legal" in problem for problem in problems)


TestRelease = Release.TestCase
TestRelease.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
