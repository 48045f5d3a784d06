"""Owns the answer to "has this been done before?": decided from step records, before any heavy import."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from evertrain.canonical import digest_of
from evertrain.datasets import Ingested, source_digest
from evertrain.pipelines import Pipeline
from evertrain.records import TrainOutcome
from evertrain.release.lifecycle import PipelineState
from evertrain.runs import StepRecords, code_digest, run_key

INGEST = "ingest"
OUTCOME = "outcome"


def ingest_records(pipeline: Pipeline, as_of: datetime | None) -> StepRecords | None:
    """Open the records of what *pipeline*'s source holds now, as seen at *as_of*.

    None where only reading tells what a source holds: a database's or a function's rows are read by every
    run, and it is their snapshot that shows that nothing changed.
    """
    source = source_digest(pipeline.config)
    if source is None:
        return None
    facts = {
        "pipeline": pipeline.name,
        "data": pipeline.config.model_dump(mode="json", by_alias=True)["data"],
        **_labels(pipeline),
        "task": pipeline.config.evaluation.task,
        **_quarantine(pipeline),
        "as_of": as_of.isoformat() if as_of else None,
        "source": source,
        "code": code_digest(),
    }
    return StepRecords(pipeline.store, digest_of(facts))


def _labels(pipeline: Pipeline) -> dict[str, Any]:
    """What decides at ingest which label a row has."""
    labels = pipeline.config.target_labels
    return {"labels": labels.model_dump(mode="json")} if labels else {}


def _quarantine(pipeline: Pipeline) -> dict[str, Any]:
    """What decides at ingest which rows are set aside."""
    validation = pipeline.config.validation
    return {"quarantine": validation.model_dump(mode="json")} if validation.on_failure == "quarantine" else {}


def remember_ingested(records: StepRecords | None, ingested: Ingested, as_of: datetime | None) -> None:
    """Keep *ingested* for the next run, unless time alone would change it: rows that lie in the future."""
    snapshot = ingested.snapshot
    if records is not None and (as_of is not None or snapshot.as_of == snapshot.newest):
        records.write(INGEST, ingested)


def recall_ingested(pipeline: Pipeline, as_of: datetime | None) -> Ingested | None:
    """Find what an earlier run ingested from the very same source."""
    records = ingest_records(pipeline, as_of)
    return records.read(INGEST, Ingested) if records else None


def run_records(pipeline: Pipeline, ingested: Ingested) -> tuple[str, StepRecords]:
    """Name the run (its key) and open its step records."""
    key = run_key(pipeline.name, pipeline.config.digest(), ingested.snapshot.digest, code_digest())
    return key, StepRecords(pipeline.store, key)


def recall_outcome(records: StepRecords, state: PipelineState) -> TrainOutcome | None:
    """Find the run's earlier outcome; a held one counts only until the champion or a rollout changes."""
    outcome = records.read(OUTCOME, TrainOutcome)
    if outcome is None:
        return None
    then, now = (outcome.generation, outcome.rollouts), (state.generation, state.rollouts)
    if outcome.decision == "held" and then != now:
        return None
    return outcome.model_copy(update={"cached": True})


def remember_outcome(records: StepRecords, outcome: TrainOutcome) -> None:
    """Keep the outcome, as the run's very last act: a run that has one is never looked into again."""
    records.write(OUTCOME, outcome)


def find_outcome(pipeline: Pipeline, as_of: datetime | None) -> TrainOutcome | None:
    """Answer an unchanged run from its records alone.

    Raises:
        SourceError: The source has no file.
        JournalTampered: The journal's chain doesn't hold.
    """
    ingested = recall_ingested(pipeline, as_of)
    if ingested is None:
        return None
    _, records = run_records(pipeline, ingested)
    _, state = pipeline.journal.read()
    return recall_outcome(records, state)
