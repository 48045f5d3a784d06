"""The flights as a Prefect flow, as its tutorial writes one: a task a step, nothing else."""

from __future__ import annotations

import sys

import flights_steps as steps
from prefect import flow, task

read = task(steps.read_rows)
check = task(steps.check_rows)
fit = task(steps.fit_model)
record = task(steps.record_model)


@flow
def flights(data: str, home: str) -> float:
    """Read, check, fit, record."""
    frame = read(data)
    check(frame)
    return record(fit(frame), frame, home)


if __name__ == "__main__":
    flights(sys.argv[1], sys.argv[2])
