"""The flights as a Flyte workflow: a cached task a step, run locally by ``pyflyte run``."""

import flights_steps as steps
import pandas as pd
from flytekit import task, workflow
from sklearn.pipeline import Pipeline


@task(cache=True, cache_version="1")
def read(data: str) -> pd.DataFrame:
    """Read the rows."""
    return steps.read_rows(data)


@task(cache=True, cache_version="1")
def check(frame: pd.DataFrame) -> bool:
    """Hold them against the expectations."""
    return steps.check_rows(frame)


@task(cache=True, cache_version="1")
def fit(frame: pd.DataFrame, checked: bool) -> Pipeline:  # noqa: ARG001 - the step that comes first
    """Fit the model."""
    return steps.fit_model(frame)


@task(cache=True, cache_version="1")
def record(model: Pipeline, frame: pd.DataFrame, home: str) -> float:
    """Score, log and register."""
    return steps.record_model(model, frame, home)


@workflow
def flights(data: str, home: str) -> float:
    """Read, check, fit, record."""
    frame = read(data=data)
    model = fit(frame=frame, checked=check(frame=frame))
    return record(model=model, frame=frame, home=home)
