"""Owns the task ``measure drift``: the rows a champion is held against beside the newest ones."""

from __future__ import annotations

import logging
import uuid
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import count

from evertrain.datasets.current import CurrentRows, open_current, open_logged_current, reference_rows
from evertrain.drift import (
    ColumnReader,
    evidently_snapshot,
    measure_drift,
    measure_predictions,
    plan_drift,
)
from evertrain.drift_records import ColumnDrift, DriftMeasured, DriftPlan
from evertrain.errors import EvertrainError
from evertrain.progress import step
from evertrain.records import Record
from evertrain.storage import Store
from tasks.check import Check
from tasks.realised import from_predictions
from tasks.steps import step_task

logger = logging.getLogger("evertrain.drift")
# Holds a check's name until its page is written; one that is killed leaves it.
BEGUN = "<!doctype html><title>Drift check</title><p>This check is under way, or it was ended. <!-- {} -->"


class Found(Record):
    """The newest rows beside the reference.

    ``drift`` is None where they are too few to say anything, and so are ``predictions`` and ``page``, the key
    of the check's own page in the store. ``drawn`` says whether Evidently drew them.
    """

    as_of: datetime
    reference_rows: int
    current_rows: int
    drift: DriftMeasured | None = None
    predictions: ColumnDrift | None = None
    page: str | None = None
    drawn: bool = False


@step_task("measure drift")
def measure_drift_task(check: Check) -> Found:
    """Score every feature of the champion on all rows, and have Evidently draw them."""
    with (
        step("drift", check.seconds) as note,
        open_newest(check) as current,
    ):
        found = compare(check, current)
        share = found.drift and found.drift.share
        note.text = f"{found.current_rows:,} rows" + ("" if share is None else f", {share:.0%} drifted")
    return found


def open_newest(check: Check) -> AbstractContextManager[CurrentRows]:
    """Open the newest rows, of the source or of those that the service answered."""
    if not from_predictions(check):
        return open_current(check.config, as_of=check.as_of, now=check.now)
    features = [feature.name for feature in check.bundle().signature.features]
    return open_logged_current(check.config, check.pipeline.store, features, as_of=check.as_of or check.now)


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
    held_out = reference_rows(check.pipeline.store, check.snapshot(), "holdout")
    predictions = measure_predictions(bundle, held_out, current, seed=check.config.training.seed)
    drawn = draw(check, plan, drift, (reference, current))
    page = claim_page(check.pipeline.store, check.config.name, found.as_of)
    if drawn is not None:
        check.pipeline.store.put(evidently_key(page), drawn)
    told = {"drift": drift, "predictions": predictions, "page": page, "drawn": drawn is not None}
    return found.model_copy(update=told)


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


def claim_page(store: Store, pipeline: str, as_of: datetime) -> str:
    """Take a name for a check's page, by the moment it looked at; of two checks each has its own."""
    # No two alike: a store may take a text that is there already for one's own.
    begun = BEGUN.format(uuid.uuid4().hex).encode()
    first = f"reports/{pipeline}/drift-{as_of:%Y%m%dT%H%M%SZ}"
    names = (first if number == 1 else f"{first}-{number}" for number in count(1))
    return next(key for key in (f"{name}.html" for name in names) if store.put_if_absent(key, begun))


def evidently_key(page: str) -> str:
    """Name Evidently's page, which lies beside the check's own."""
    return f"{page.removesuffix('.html')}-evidently.html"
