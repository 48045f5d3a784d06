"""What a user would write instead of configs/flights.yaml: one straight script, no gates and no service.

Great Expectations, scikit-learn and MLflow (SQLite, requirements given), on the same rows and features.
"""

from __future__ import annotations

import sys
from pathlib import Path

import great_expectations as gx
import mlflow
import pandas as pd
from great_expectations import expectations as gxe
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

NUMERIC = ["sched_dep_time", "sched_arr_time", "distance", "hour"]
CATEGORICAL = ["carrier", "origin", "dest"]


def main(data: Path, home: Path) -> None:
    """Read three months, check, fit on the first two, score the third, log and register."""
    frame = pd.concat(pd.read_parquet(path) for path in sorted(data.glob("*.parquet")))
    end = pd.Timestamp("2013-04-01", tz="UTC")
    frame = frame[(frame.time_hour > end - pd.Timedelta(days=90)) & (frame.time_hour <= end)]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("p")
        .add_dataframe_asset("a")
        .add_batch_definition_whole_dataframe("b")
    )
    suite = gx.ExpectationSuite(
        name="flights",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(column="distance", min_value=10, max_value=6000),
            gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=["EWR", "JFK", "LGA"]),
            gxe.ExpectTableRowCountToBeBetween(min_value=1000),
        ],
    )
    assert batch.get_batch({"dataframe": frame}).validate(suite).success
    labelled = frame.dropna(subset=["arr_delay"])
    late = labelled.arr_delay > 15
    learn = labelled.time_hour <= end - pd.Timedelta(days=30)
    encode = ColumnTransformer(
        [
            ("numeric", "passthrough", NUMERIC),
            ("category", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), CATEGORICAL),
        ]
    )
    model = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=100, random_state=0))
    columns = NUMERIC + CATEGORICAL
    model.fit(labelled.loc[learn, columns], late[learn])
    scores = model.predict_proba(labelled.loc[~learn, columns])[:, 1]
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    if mlflow.get_experiment_by_name("flights") is None:
        mlflow.create_experiment("flights", artifact_location=(home / "artifacts").as_uri())
    mlflow.set_experiment("flights")
    with mlflow.start_run():
        mlflow.log_metric("roc_auc", roc_auc_score(late[~learn], scores))
        mlflow.log_metric("log_loss", log_loss(late[~learn], scores))
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name="flights",
            pip_requirements=["scikit-learn"],
            skops_trusted_types=[
                "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
                "numpy.dtype",
            ],
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
