"""Owns the task ``count new labels``: the labelled rows that nobody learnt from yet."""

from __future__ import annotations

import numpy as np

from evertrain.datasets import Ingested, read_side, to_columns
from evertrain.datasets.snapshots import SIDES
from evertrain.datasets.times import to_naive
from evertrain.progress import step
from tasks.check import Check
from tasks.steps import step_task


@step_task("count new labels")
def count_new_labels_task(check: Check, newest: Ingested | str) -> int:
    """Count the labelled rows that are newer than what the champion and the last retrain saw.

    Args:
        check: The check.
        newest: The newest rows; a text where none has a label.
    """
    with step("count new labels", check.seconds) as note:
        since, timestamp = check.known_until(), check.config.data.timestamp
        count = 0
        if isinstance(newest, Ingested) and since is not None and timestamp is not None:
            after, target = np.datetime64(to_naive(since), "us"), check.config.data.target
            for side in SIDES:
                table = read_side(
                    check.pipeline.store, newest.snapshot, side, target=target, columns=[timestamp]
                )
                count += int((to_columns(table, [timestamp])[timestamp] > after).sum())
        note.text = f"{count:,} labelled rows are new"
    return count
