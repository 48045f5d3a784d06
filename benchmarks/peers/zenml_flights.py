"""The flights as a ZenML pipeline on a local stack with its MLflow experiment tracker."""

import sys

import flights_steps as steps
import pandas as pd
from sklearn.pipeline import Pipeline
from zenml import pipeline, step


@step
def read(data: str) -> pd.DataFrame:
    """Read the rows."""
    return steps.read_rows(data)


@step
def check(frame: pd.DataFrame) -> bool:
    """Hold them against the expectations."""
    return steps.check_rows(frame)


@step
def fit(frame: pd.DataFrame, checked: bool) -> Pipeline:  # noqa: ARG001 - the step that comes first
    """Fit the model."""
    return steps.fit_model(frame)


@step(experiment_tracker="mlflow")
def record(model: Pipeline, frame: pd.DataFrame) -> float:
    """Score, log and register, in the run that the tracker has begun."""
    metrics = steps.score_model(model, frame)
    steps.log_model(model, metrics)
    return metrics["roc_auc"]


@pipeline
def flights(data: str) -> None:
    """Read, check, fit, record."""
    frame = read(data)
    record(fit(frame, check(frame)), frame)


if __name__ == "__main__":
    flights(sys.argv[1])
