from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evertrain import failpoints
from evertrain.claims import claim
from evertrain.failpoints import VARIABLE
from evertrain.release import decide_promoted, decide_registered, open_journal
from evertrain.storage import attach_store, open_store

ROOT = Path(__file__).parents[2]
SOURCES = ("storage/*.py", "journal/*.py", "release/*.py", "claims.py", "heartbeat.py", "runs.py")
FACTS = dict.fromkeys(("run_id", "bundle", "snapshot", "config", "code"), "x")

# How often one run of `train_once` passes each point on either kind of store.
SAME = {
    "journal-before-head": 4,
    "journal-after-head": 4,
    "claim-before-lease": 1,
    "claim-after-lease": 1,
    "claim-before-release": 1,
    "claim-after-release": 1,
}
PASSAGES = {
    "local": {
        "store-before-link": 6,
        "store-after-link": 5,
        "store-before-replace": 5,
        "store-after-replace": 5,
        **SAME,
    },
    "s3": {
        "store-before-create": 6,
        "store-after-create": 5,
        "store-before-put": 5,
        "store-after-put": 5,
        **SAME,
    },
}
ON_S3 = pytest.mark.xdist_group("s3")
POINTS = [
    pytest.param(kind, name, count, marks=ON_S3 if kind == "s3" else ())
    for kind, points in PASSAGES.items()
    for name, count in points.items()
]


def kills() -> Iterator[Any]:
    """Every passage on a disk; on S3, where a run takes longer, the first and the last of each."""
    for name, count in PASSAGES["local"].items():
        yield from (pytest.param("local", f"{name}:{number}") for number in range(1, count + 1))
    for name, count in PASSAGES["s3"].items():
        yield from (pytest.param("s3", f"{name}:{number}", marks=ON_S3) for number in sorted({1, count}))


@pytest.fixture
def where(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> str:
    return f"s3://{request.getfixturevalue('s3_bucket')}/loop" if kind == "s3" else str(tmp_path)


def train_once(where: str) -> int:
    """The skeleton of a train: claim, register once, promote once, release. Returns the attempt."""
    store = open_store(where)
    journal = open_journal(store, "flights", "tester")
    with claim(journal, store, "train") as held:
        state = journal.read()[1]
        if state.find_run("k1") is None:
            journal.append(decide_registered(version=1, run_key="k1", **FACTS, fence=held.number))
        if state.champion is None:
            journal.append(decide_promoted(version=1, judged_generation=0, fence=held.number))
        return held.attempt


def run_until_killed(where: str, point: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, __file__, where],
        env={**os.environ, VARIABLE: point, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def named_failpoints(pattern: str) -> set[str]:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "evertrain").glob(pattern)]
    assert trees
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "failpoint"
    }


def test_every_failpoint_of_store_journal_and_claims_is_killed_at() -> None:
    """A new point in these files fails here until the kill test below covers it."""
    assert set.union(*(named_failpoints(pattern) for pattern in SOURCES)) == set().union(*PASSAGES.values())


@pytest.mark.parametrize(("kind", "point", "passages"), POINTS)
def test_a_run_passes_each_point_as_often_as_the_table_says(
    kind: str, where: str, monkeypatch: pytest.MonkeyPatch, point: str, passages: int
) -> None:
    """The table is neither short of a passage, which would then not be killed at, nor long."""
    before = failpoints._hits[point]
    monkeypatch.setenv(VARIABLE, f"{point}:1000000")
    train_once(where)
    assert failpoints._hits[point] - before == passages


@pytest.mark.fault
@pytest.mark.parametrize(("kind", "point"), list(kills()))
def test_a_kill_anywhere_is_mended_by_the_next_run(kind: str, where: str, tmp_path: Path, point: str) -> None:
    """After kill -9 the journal holds; a clean run takes over at once and leaves one champion."""
    assert run_until_killed(where, point).returncode == -signal.SIGKILL
    store = attach_store(where)
    journal = open_journal(store, "flights", "reader")
    assert journal.verify().holds
    left = journal.read()[1].claims

    attempt = train_once(where)

    entries, state = journal.read()
    assert journal.verify().holds
    assert attempt == (2 if left else 1)
    assert [entry.kind for entry in entries].count("registered") == 1
    assert [entry.kind for entry in entries].count("promoted") == 1
    assert (state.champion, state.generation, dict(state.claims)) == (1, 1, {})
    assert list(store.list("leases/")) == []
    assert list(tmp_path.rglob(".tmp-*")) == []


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("local", ("journal-before-head:2", "journal-before-head:1", "store-after-link:3")),
        pytest.param(
            "s3", ("journal-before-head:2", "journal-before-head:1", "store-after-create:2"), marks=ON_S3
        ),
    ],
)
def test_kills_in_a_row_are_mended_too(kind: str, where: str, points: tuple[str, ...]) -> None:
    """A run that is killed while it mends what a kill left is mended by the one after."""
    for point in points:
        assert run_until_killed(where, point).returncode == -signal.SIGKILL
        assert open_journal(attach_store(where), "flights", "reader").verify().holds
    assert train_once(where) == 4
    entries, state = open_journal(attach_store(where), "flights", "reader").read()
    assert [entry.kind for entry in entries].count("registered") == 1
    assert (state.champion, state.generation) == (1, 1)


if __name__ == "__main__":
    train_once(sys.argv[1])
