"""The job of configs/flights.yaml as plain functions, which each peer's pipeline calls as its steps.

The rows, expectations, features and model are those of straight_flights.py; heavy imports stand inside the
functions, so that a cached run needn't pay for what it doesn't call.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

NUMERIC = ["sched_dep_time", "sched_arr_time", "distance", "hour"]
CATEGORICAL = ["carrier", "origin", "dest"]
END = "2013-04-01"
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "numpy.dtype"]


def read_rows(data: str) -> pd.DataFrame:
    """Read the 90 days before the end, out of monthly Parquet files."""
    import pandas as pd

    frame = pd.concat(pd.read_parquet(path) for path in sorted(Path(data).glob("*.parquet")))
    end = pd.Timestamp(END, tz="UTC")
    return frame[(frame.time_hour > end - pd.Timedelta(days=90)) & (frame.time_hour <= end)]


def check_rows(frame: pd.DataFrame) -> bool:
    """Hold *frame* against the expectations; raises where one fails."""
    import great_expectations as gx
    from great_expectations import expectations as gxe

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    suite = gx.ExpectationSuite(
        name="flights",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(column="distance", min_value=10, max_value=6000),
            gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=["EWR", "JFK", "LGA"]),
            gxe.ExpectTableRowCountToBeBetween(min_value=1000),
        ],
    )
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    if not batch.validate(suite).success:
        raise ValueError("the flights are not as expected")
    return True


def split_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the labelled rows into those to learn from and the newest 30 days."""
    import pandas as pd

    labelled = frame.dropna(subset=["arr_delay"])
    learn = labelled.time_hour <= pd.Timestamp(END, tz="UTC") - pd.Timedelta(days=30)
    return labelled[learn], labelled[~learn]


def fit_model(frame: pd.DataFrame) -> Pipeline:
    """Fit on all but the newest 30 days."""
    learn, _ = split_rows(frame)
    return fit_pipeline(learn[NUMERIC + CATEGORICAL], learn.arr_delay > 15)


def fit_pipeline(features: pd.DataFrame, late: pd.Series[bool]) -> Pipeline:
    """Fit the model of configs/flights.yaml."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encode = ColumnTransformer(
        [
            ("numeric", "passthrough", NUMERIC),
            ("category", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), CATEGORICAL),
        ]
    )
    model = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=100, random_state=0))
    return model.fit(features, late)


def score_model(model: Pipeline, frame: pd.DataFrame) -> dict[str, float]:
    """Measure *model* on the newest 30 days."""
    from sklearn.metrics import log_loss, roc_auc_score

    _, judge = split_rows(frame)
    late, scores = judge.arr_delay > 15, model.predict_proba(judge[NUMERIC + CATEGORICAL])[:, 1]
    return {"roc_auc": float(roc_auc_score(late, scores)), "log_loss": float(log_loss(late, scores))}


def log_model(model: Pipeline, metrics: dict[str, float]) -> None:
    """Log to the active MLflow run, and register; prints the area under the curve."""
    import mlflow

    mlflow.log_metrics(metrics)
    mlflow.sklearn.log_model(
        model,
        name="model",
        registered_model_name="flights",
        pip_requirements=["scikit-learn"],
        skops_trusted_types=TRUSTED,
    )
    print(f"roc_auc {metrics['roc_auc']:.6f}", flush=True)


def record_model(model: Pipeline, frame: pd.DataFrame, home: str) -> float:
    """Score, log and register in a run of its own in *home*'s SQLite; gives the area under the curve."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    if mlflow.get_experiment_by_name("flights") is None:
        mlflow.create_experiment("flights", artifact_location=f"file://{home}/artifacts")
    mlflow.set_experiment("flights")
    metrics = score_model(model, frame)
    with mlflow.start_run():
        log_model(model, metrics)
    return metrics["roc_auc"]
