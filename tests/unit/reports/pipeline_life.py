"""A pipeline's life in a real journal, for the tests of its page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evertrain.canonical import canonical_json
from evertrain.config import PipelineConfig
from evertrain.journal import ORIGIN, Draft, Entry, head_key
from evertrain.journal.chain import encode_entry, hash_of
from evertrain.liveness import identify_process
from evertrain.records import BundleSummary, SnapshotSummary, TrainOutcome
from evertrain.release import (
    ReleaseJournal,
    decide_claimed,
    decide_held,
    decide_promoted,
    decide_registered,
    decide_released,
    decide_rolled_back,
)
from evertrain.release.retraining import decide_retrain_ended
from evertrain.release.rollouts import (
    decide_rollout_ended,
    decide_rollout_paused,
    decide_rollout_started,
    find_rollout,
)
from evertrain.storage import LocalStore

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
START = datetime(2013, 4, 1, tzinfo=UTC)
MOST_BYTES = 1_000_000
CANARY = {"type": "canary", "steps": [5, 50, 100], "bake_seconds": 600}
REGRET = {"gain": 0.02, "low": 0.01, "high": 0.03, "min_gain": 0.01, "fired": True, "level": 0.998}
GUARDRAILS = {"max_error_rate": 0.01, "max_p99_ratio": 1.5}
CONFIG = PipelineConfig.model_validate(
    {
        "name": "flights",
        "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y", "timestamp": "t"},
        "training": {"estimator": "a.B"},
        "evaluation": {"task": "binary_classification", "metrics": ["roc_auc"]},
    }
)


class Clock:
    """The journal's clock: an hour passes from one entry to the next."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


def outcome(run_key: str) -> TrainOutcome | None:
    """What the run of an odd version came to; the others' outcomes aren't there."""
    version = int(run_key.rpartition("-")[2])
    if version % 2 == 0:
        return None
    return TrainOutcome(
        pipeline="flights",
        decision="promoted",
        version=version,
        run_id="r",
        run_key=run_key,
        metrics={"roc_auc": 0.7 + version / 1000},
        snapshot=SnapshotSummary(digest="s", rows=80_000 + version, unlabelled=7, quarantined=3),
        bundle=BundleSummary(digest="b", runtime="onnx"),
    )


def register(journal: ReleaseJournal, version: int) -> None:
    facts = {name: f"{name}-{version}" for name in ("run_id", "bundle", "snapshot", "config", "code")}
    journal.append(decide_registered(version=version, run_key=f"run-{version}", **facts))


def promote(journal: ReleaseJournal, version: int, reason: str = "all gates passed (manual)") -> None:
    register(journal, version)
    journal.append(decide_promoted(version=version, reason=reason))


def measure(champion: int | None, day: int, text: str = "") -> dict[str, Any]:
    """What a check of *champion* measures on *day*."""
    return {
        "champion": champion,
        "share": 0.25,
        "max_share": 0.3,
        "drifted": [text or "carrier"],
        "rows": {"reference": 50_000, "current": 6_000 + day},
        "report": f"/store/reports/flights/{name_page(day)}",
        "performance": {"metric": text or "roc_auc", "value": 0.64, "holdout": 0.66, "fired": True},
        "regret": {"metric": text or "roc_auc", "champion": 0.64, **REGRET},
        "new": {"levels": [0.5, None]},
        "predictions_drifted": True,
        "quality": [f"{text or 'carrier'}: 9.0% of the rows have no value, 0.0% had none"],
        "new_labels": 5_000,
    }


def name_page(day: int) -> str:
    return f"drift-{START + timedelta(days=day):%Y%m%d}T000000Z.html"


def check(
    journal: ReleaseJournal,
    day: int,
    retrain: str = "none",
    *,
    text: str = "",
    measured: dict[str, Any] | None = None,
    triggers: tuple[str, ...] = (),
    decision: str | None = None,
) -> str:
    """Write a check of *day*; gives its as-of."""
    as_of, state = (START + timedelta(days=day)).isoformat(), journal.catch_up().state
    facts = {
        "decision": decision or ("drifted" if triggers else "steady"),
        "as_of": as_of,
        "generation": state.generation,
        "triggers": list(triggers),
        "retrain": retrain,
        "sizes": {},
        "counted": False,
        "evidence": measure(state.champion, day, text) if measured is None else measured,
    }
    journal.append(lambda _: Draft("checked", facts, text or f"why of day {day}"))
    return as_of


def retrain(journal: ReleaseJournal, day: int, version: int, *, promoted: bool) -> None:
    """A check on *day* that fires, and the retrain that it starts."""
    as_of = check(journal, day, "started", triggers=("regret",))
    _, state = journal.append(decide_claimed("retrain", identify_process(), 15.0))
    fence = state.claims["retrain"].number
    begun = {"as_of": as_of, "causes": {"regret": 0.02}}
    journal.append(lambda _: Draft("retrain_started", begun, "regret fired", fence))
    if promoted:
        promote(journal, version, "all gates passed (drift)")
    else:
        register(journal, version)
        journal.append(decide_held(version=version, run_key=f"run-{version}", reasons=["not_worse: it is"]))
    journal.append(decide_retrain_ended("promoted" if promoted else "held", "", fence=fence))
    journal.append(decide_released("retrain", fence))


def live(journal: ReleaseJournal) -> None:
    """A dozen checks and versions, retrains, a rollback, a rollout that ended and one under way."""
    promote(journal, 1)
    for day in range(12):
        check(journal, day, ("none", "unconfirmed", "cooldown", "already_running")[day % 4])
    for number in range(12):
        retrain(journal, 12 + number, 2 + number, promoted=number % 2 == 0)
    journal.append(decide_rolled_back(reason="wrong carriers"))
    register(journal, 14)
    journal.append(decide_rollout_started(version=14, strategy=CANARY, guardrails=GUARDRAILS))
    rollout = find_rollout(journal.catch_up().state, "flights")
    journal.append(decide_rollout_ended(rollout, "rolled_back", {}, reason="guardrail: errors"))
    register(journal, 15)
    journal.append(decide_rollout_started(version=15, strategy=CANARY, guardrails=GUARDRAILS))
    rollout = find_rollout(journal.catch_up().state, "flights")
    journal.append(decide_rollout_paused(rollout, "no_data", {}, reason="nobody asks"))


def write_chain(store: LocalStore, drafts: Iterable[Draft]) -> None:
    """Write a journal of *drafts* at once, which a thousand appends, each on the disk for good, aren't."""
    last, number = ORIGIN, 0
    folder = Path(store.where) / "journal/flights"
    folder.mkdir(parents=True)
    for number, draft in enumerate(drafts, start=1):
        at = f"{START + timedelta(hours=number):%Y-%m-%dT%H:%M:%S.000000+00:00}"
        entry = Entry(
            number,
            f"{number:032x}",
            last,
            draft.kind,
            "flights",
            at,
            "me",
            draft.reason,
            None,
            draft.data,
            "",
        )
        body = encode_entry(entry)
        last = hash_of(body)
        (folder / f"{number:012d}.json").write_bytes(body)
    store.put(head_key("flights"), canonical_json({"number": number, "hash": last}))


def long_life() -> Iterator[Draft]:
    """150 champions and 1,000 checks, with long words and many columns."""
    long = "why " * 1_000
    for version in range(1, 151):
        facts = {name: f"{name}-{version}" for name in ("run_id", "bundle", "snapshot", "config", "code")}
        yield Draft("registered", {"version": version, "run_key": f"run-{version}", **facts})
        yield Draft("promoted", {"version": version, "generation": version}, long)
    for day in range(1_000):
        yield Draft(
            "checked",
            {
                "decision": "drifted",
                "as_of": (START + timedelta(days=day)).isoformat(),
                "generation": 150,
                "triggers": ["data", "regret"],
                "retrain": "cooldown",
                "evidence": measure(150, day) | {"drifted": [f"column number {each}" for each in range(300)]},
            },
            long,
        )
