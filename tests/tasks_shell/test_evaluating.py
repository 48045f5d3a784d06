"""The task ``evaluate`` without Prefect: what it hands to the gates, and what becomes of its verdict."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from evertrain import audit
from evertrain.config import PipelineConfig
from evertrain.datasets import ingest
from evertrain.liveness import identify_process
from evertrain.packaging import package
from evertrain.pipelines import open_pipeline
from evertrain.records import Judgement, ModelVersion
from evertrain.registrar import RegistrarHere
from evertrain.release import decide_claimed, decide_promoted, decide_registered, decide_released
from evertrain.settings import read_settings
from evertrain.training import train
from tasks.evaluate import judge_candidate, still_holds
from tasks.promote import journal_decision, journal_version
from tasks.run import Run

GATES = [
    {"type": "beats_champion", "metric": "roc_auc"},
    {"type": "slices", "metric": "accuracy", "min_rows": 20},
    {"type": "latency", "p99_ms": 1000},
]
CLAIM = 1
# Never tried in ONNX: the child that converts takes longer than all the rest.
LEARNER = "sklearn.gaussian_process.GaussianProcessClassifier"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with ``loans.csv``, and the store."""
    rng = np.random.default_rng(0)
    income, purpose = rng.normal(50, 15, 600).round(2), rng.choice(["car", "home"], 600)
    late = (45 - income) / 10 + rng.normal(0, 1, 600) > 0
    rows = zip(income, purpose, late, strict=True)
    lines = [f"{number},{what},{'Yes' if label else 'No'}" for number, what, label in rows]
    (tmp_path / "loans.csv").write_text("\n".join(["income,purpose,late", *lines]) + "\n")
    return tmp_path


def start(folder: Path, steps: int, gates: list[dict] | None = None) -> Run:
    """Begin a run whose model comes of so many *steps*."""
    config = PipelineConfig.model_validate(
        {
            "name": "loans",
            "data": {"source": {"type": "files", "uri": str(folder / "loans.csv")}, "target": "late"},
            "training": {"estimator": LEARNER, "params": {"max_iter_predict": steps}},
            "evaluation": {
                "task": "binary_classification",
                "slices": ["purpose", "income"],
                "gates": GATES if gates is None else gates,
            },
        }
    )
    settings = read_settings({**os.environ, "EVERTRAIN_HOME": str(folder / "home")})
    pipeline = open_pipeline(config, settings)
    ingested = ingest(config, pipeline.store, as_of=None, now=datetime(2026, 1, 1, tzinfo=UTC))
    return Run(
        pipeline,
        ingested,
        trigger="manual",
        as_of=None,
        fence=CLAIM,
        seconds={},
        registrar=RegistrarHere(),
    )


def judge(run: Run) -> tuple[Judgement, ModelVersion]:
    """Train, package and judge the run's candidate."""
    trained = train(run.config, run.ingested, run.pipeline.store, run.pipeline.settings)
    bundle = package(run.config, run.ingested, trained, run.pipeline.store, {})
    _, state = run.pipeline.journal.read()
    number = len(state.versions) + 1
    version = ModelVersion(version=number, run_id="r", run_key=run.key, bundle=bundle.digest)
    return judge_candidate(run, bundle, state), version


def decide(run: Run, judgement: Judgement, version: ModelVersion) -> None:
    """Write version and decision as the task ``promote`` does."""
    journal_decision(run, version, judgement, journal_version(run, version, judgement))


def test_gates_see_slices_latency_and_looks(folder: Path) -> None:
    """The second challenger on the same rows is look two, is judged as such, and the journal keeps it."""
    first = start(folder, 100)
    first.pipeline.journal.append(decide_claimed("train", identify_process(), 60.0))
    judgement, version = judge(first)
    assert [gate.verdict for gate in judgement.gates] == ["not_shown", "not_shown", "pass"]
    assert judgement.latency is not None
    assert judgement.holdout is None
    decide(first, judgement, version)

    for look, steps in ((1, 1), (2, 2)):
        run = start(folder, steps, GATES[:2])
        judgement, version = judge(run)
        assert judgement.evaluation.look == look
        assert ("judged at 96.96 %" in judgement.gates[0].reason) == (look == 2)
        assert {each.column for each in judgement.gates[1].slices} == {"purpose", "income"}
        assert judgement.gates[1].gain is not None
        decide(run, judgement, version)

    _, state = run.pipeline.journal.read()
    assert [each.look for each in state.versions.values()] == [None, 1, 2]
    assert state.versions[2].holdout == state.versions[3].holdout == judgement.holdout
    told = [row.what for row in audit.show(run.pipeline.journal) if row.kind == "registered"]
    assert told[2].endswith(f"look 2 at hold-out {judgement.holdout}")
    again, _ = judge(run)
    assert again.evaluation.look == 2, "to judge a held version again is no new look"


def test_a_verdict_is_given_again_only_while_it_is_today_s(folder: Path) -> None:
    """It falls with the champion, and where another run took the same look before this one was registered."""
    first = start(folder, 100, GATES[:2])
    journal = first.pipeline.journal
    journal.append(decide_claimed("train", identify_process(), 60.0))
    decide(first, *judge(first))
    run = start(folder, 1, GATES[:2])
    judgement, _ = judge(run)
    assert still_holds(judgement, run.key, journal.read()[1])

    facts = {"run_id": "r", "bundle": "b", "snapshot": "s", "config": "c", "code": "x"}
    look = {"look": judgement.evaluation.look, "holdout": judgement.holdout}
    journal.append(decide_registered(version=2, run_key="another", **facts, **look))
    assert not still_holds(judgement, run.key, journal.read()[1])

    journal.append(decide_registered(version=3, run_key=run.key, **facts, **look))
    assert still_holds(judgement, run.key, journal.read()[1])
    journal.append(decide_promoted(version=2))
    assert not still_holds(judgement, run.key, journal.read()[1])
    journal.append(decide_promoted(version=3))
    assert still_holds(judgement, run.key, journal.read()[1])
    journal.append(decide_released("train", CLAIM))


def test_no_look_is_taken_where_no_gate_counts_them(folder: Path) -> None:
    """A pipeline whose gates only refuse keeps no ledger."""
    gates = [{"type": "not_worse", "metric": "roc_auc"}]
    first = start(folder, 100, gates)
    first.pipeline.journal.append(decide_claimed("train", identify_process(), 60.0))
    decide(first, *judge(first))
    judgement, _ = judge(start(folder, 1, gates))
    assert (judgement.evaluation.look, judgement.holdout) == (None, None)
    assert judgement.evaluation.gains[0].confidence == 0.95
