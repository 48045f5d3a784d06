"""The flights as a Kedro pipeline; kedro-mlflow begins the run that the last node logs to."""

import flights_steps as steps
import pandas as pd
from kedro.pipeline import Pipeline, node, pipeline


def fit(frame: pd.DataFrame, checked: bool) -> object:  # noqa: ARG001 - the step that comes first
    """Fit once the rows are checked."""
    return steps.fit_model(frame)


def register_pipelines() -> dict[str, Pipeline]:
    """Read, check, fit, score, log."""
    return {
        "__default__": pipeline(
            [
                node(steps.read_rows, "params:data", "frame", name="read"),
                node(steps.check_rows, "frame", "checked", name="check"),
                node(fit, ["frame", "checked"], "model", name="fit"),
                node(steps.score_model, ["model", "frame"], "metrics", name="score"),
                node(steps.log_model, ["model", "metrics"], None, name="log"),
            ]
        )
    }
