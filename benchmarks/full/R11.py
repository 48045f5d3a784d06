"""Owns the proof R11: whatever clients ask of a journal at once, one wins, and nothing illegal stands."""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Callable

from resumable import prove
from services import PIPELINE, new_store, register

from evertrain.errors import ConfigError, Conflict
from evertrain.release import Decide, PipelineState, decide_promoted, decide_rolled_back, open_journal
from evertrain.release.rollouts import (
    decide_rollout_ended,
    decide_rollout_judged,
    decide_rollout_paused,
    decide_rollout_promoted,
    decide_rollout_resumed,
    decide_rollout_started,
    decide_rollout_stepped,
)
from evertrain.storage import Store

CLAIM = (
    "10,000 random sequences of commands (promote, begin, step, judge, pause, go on, end, roll back), a "
    "tenth of them by eight clients at once: no illegal entry stands in a journal, each generation has "
    "one winner, and there is never more than one rollout"
)
SEQUENCES, ALONE, COMMANDS, CLIENTS, VERSIONS = 100, 90, 12, 8, 5
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 1.5}
STRATEGIES = (
    {"type": "canary", "steps": [5, 50, 100], "bake_seconds": 0.0, "metric": None},
    {"type": "ab", "steps": [50], "bake_seconds": 0.0, "metric": "roc_auc"},
    {"type": "shadow", "steps": [0], "bake_seconds": 0.0, "metric": None},
)


def trial(number: int) -> dict[str, int]:
    """A hundred sequences, each on a journal of its own."""
    totals = {"sequences": SEQUENCES, "entries": 0, "refused": 0, "broken": 0, "doubled": 0}
    for sequence in range(SEQUENCES):
        with tempfile.TemporaryDirectory(prefix="evertrain-R11-") as home:
            store = new_store(home)
            for version in range(1, VERSIONS + 1):
                register(store, version, f"bundle-{version}")
            clients = 1 if sequence < ALONE else CLIENTS
            refused = _command(store, clients, seed=number * SEQUENCES + sequence)
            journal = open_journal(store, PIPELINE, "proof")
            verified = journal.verify()
            entries, _ = journal.read()
            totals["entries"] += len(entries)
            totals["refused"] += refused
            totals["broken"] += not verified.holds
            totals["doubled"] += _count_doubled(entries)
    return totals


def _count_doubled(entries: object) -> int:
    """Generations that more than one entry made."""
    made = [
        entry.data["generation"]
        for entry in entries  # type: ignore[attr-defined]
        if entry.kind in ("promoted", "rolled_back")
    ]
    return len(made) - len(set(made))


def _command(store: Store, clients: int, *, seed: int) -> int:
    """Have *clients* give commands at once; gives how many were refused."""
    refused: list[int] = []

    def act(client: int) -> None:
        draw = random.Random(seed * CLIENTS + client)
        journal = open_journal(store, PIPELINE, f"client {client}")
        lost = 0
        for _ in range(COMMANDS):
            try:
                journal.append(draw_command(draw, journal.read()[1]))
            except (Conflict, ConfigError):
                lost += 1
        refused.append(lost)

    threads = [threading.Thread(target=act, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(refused)


def draw_command(draw: random.Random, state: PipelineState) -> Decide:
    """Draw any command, legal in *state* or not: what was seen may be old when it is given."""
    version = draw.randint(1, VERSIONS)
    simple: list[Callable[[], Decide]] = [
        lambda: decide_promoted(version=version),
        lambda: decide_rolled_back(to=version),
        decide_rolled_back,
        lambda: decide_rollout_started(
            version=version, strategy=draw.choice(STRATEGIES), guardrails=GUARDRAILS
        ),
    ]
    rollout = state.rollout
    if rollout is None or draw.random() < 0.2:
        return draw.choice(simple)()
    last = rollout.step + 1 == len(rollout.steps)
    commands: list[Callable[[], Decide]] = [
        lambda: decide_rollout_promoted(rollout, {}),
        lambda: decide_rollout_ended(rollout, draw.choice(("aborted", "rolled_back")), {}, reason="proof"),
        lambda: decide_rollout_paused(rollout, "no_data", {}, reason="proof"),
        lambda: decide_rollout_resumed(rollout, reason="proof"),
        lambda: decide_rollout_judged(
            rollout, draw.choice(("better", "worse", "open")), 200, {}, reason="proof"
        ),
        *([] if last else [lambda: decide_rollout_stepped(rollout, {})]),
    ]
    return draw.choice(commands)()


def judge(totals: dict[str, int], _n: int) -> tuple[int, dict[str, float]]:
    """No chain may be broken, no entry ignored, no generation won twice."""
    failed = (totals["broken"] > 0) + (totals["doubled"] > 0)
    return failed, {"sequences": totals["sequences"], "refused_share": totals["refused"] / totals["entries"]}


if __name__ == "__main__":
    prove("R11", CLAIM, trial, judge, n=100)
