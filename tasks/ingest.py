"""Owns the task ``ingest``: source rows to a snapshot."""

from __future__ import annotations

from datetime import UTC, datetime

from evertrain.datasets import Ingested, ingest
from evertrain.outcomes import INGEST, ingest_records, remember_ingested
from evertrain.pipelines import Pipeline
from evertrain.progress import STEPS, step
from tasks.steps import step_task


@step_task("ingest")
def ingest_task(pipeline: Pipeline, as_of: datetime | None, seconds: dict[str, float]) -> Ingested:
    """Read the source into a snapshot, or recall the one that the very same source gave before."""
    with step("ingest", seconds) as note:
        records = ingest_records(pipeline, as_of)
        ingested = records.read(INGEST, Ingested) if records else None
        if ingested is None:
            ingested = ingest(pipeline.config, pipeline.store, as_of=as_of, now=datetime.now(UTC))
            remember_ingested(records, ingested, as_of)
        for said in ingested.notes:
            STEPS.warning("%s", said)
        snapshot = ingested.snapshot
        note.text = f"{snapshot.train_rows:,} rows to learn from, {snapshot.holdout_rows:,} held out"
        if snapshot.unlabelled:
            note.text += f", {snapshot.unlabelled:,} unlabelled"
    return ingested
