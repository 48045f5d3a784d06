"""Owns the task ``measure drift``: the rows a champion is held against beside the newest ones."""

from __future__ import annotations

import logging
from datetime import datetime

from evertrain.datasets.current import CurrentRows, open_current, reference_rows
from evertrain.drift import ColumnReader, evidently_snapshot, measure_drift, plan_drift
from evertrain.drift_records import DriftMeasured, DriftPlan
from evertrain.errors import EvertrainError
from evertrain.progress import step
from evertrain.records import Record
from tasks.check import Check
from tasks.steps import step_task

logger = logging.getLogger("evertrain.drift")


class Found(Record):
    """The newest rows beside the reference.

    ``drift`` is None where they are too few to say anything, ``drawn`` whether Evidently drew them.
    """

    as_of: datetime
    reference_rows: int
    current_rows: int
    drift: DriftMeasured | None = None
    drawn: bool = False


@step_task("measure drift")
def measure_drift_task(check: Check) -> Found:
    """Score every feature of the champion on all rows, and have Evidently draw them."""
    with (
        step("drift", check.seconds) as note,
        open_current(check.config, as_of=check.as_of, now=check.now) as current,
    ):
        found = compare(check, current)
        share = found.drift and found.drift.share
        note.text = f"{found.current_rows:,} rows" + ("" if share is None else f", {share:.0%} drifted")
    return found


def compare(check: Check, current: CurrentRows) -> Found:
    """Compare *current* with the rows that the configuration names as reference."""
    rolling = check.config.drift.reference == "rolling"
    reference = current.before if rolling else reference_rows(check.pipeline.store, check.snapshot())
    found = Found(as_of=current.as_of, reference_rows=reference.rows, current_rows=current.rows)
    if current.rows < check.config.drift.current.min_rows or not reference.rows:
        return found
    bundle = check.bundle()
    plan = bundle.drift or plan_drift(bundle.signature.features)
    drift = measure_drift(plan, reference, current, max_share=check.config.drift.max_share)
    drawn = draw(check, plan, drift, (reference, current))
    if drawn is not None:
        check.pipeline.store.put(report_key(check.config.name, found.as_of, "-evidently"), drawn)
    return found.model_copy(update={"drift": drift, "drawn": drawn is not None})


def draw(
    check: Check, plan: DriftPlan, drift: DriftMeasured, sides: tuple[ColumnReader, ColumnReader]
) -> bytes | None:
    """Have Evidently draw its page; the scores are there whether it can or not."""
    try:
        drawn = evidently_snapshot(plan, drift, *sides, seed=check.config.training.seed)
    except EvertrainError as cause:
        logger.warning("%s", cause)
        return None
    return drawn.html if drawn else None


def report_key(pipeline: str, as_of: datetime, kind: str = "") -> str:
    """Name a check's page in the store, by the moment it looked at."""
    return f"reports/{pipeline}/drift-{as_of:%Y%m%dT%H%M%SZ}{kind}.html"
