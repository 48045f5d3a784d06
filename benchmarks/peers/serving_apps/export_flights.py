"""Fits the flights model in a peer's own environment, and saves it as that peer's users do.

``python export_flights.py joblib|mlflow|bentoml ROWS.json TO``: ROWS.json has the training rows, by column.
"""

import json
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from flights_steps import CATEGORICAL, NUMERIC, TRUSTED, fit_pipeline


def main(kind: str, rows: str, to: str) -> None:
    """Fit and save."""
    columns = json.loads(Path(rows).read_text())
    late = pd.Series(columns.pop("late"))
    model = fit_pipeline(pd.DataFrame(columns)[NUMERIC + CATEGORICAL], late)
    if kind == "joblib":
        import joblib

        joblib.dump(model, to)
    elif kind == "mlflow":
        import mlflow

        mlflow.sklearn.save_model(model, to, pip_requirements=["scikit-learn"], skops_trusted_types=TRUSTED)
    else:
        import bentoml

        bentoml.sklearn.save_model("flights", model)


if __name__ == "__main__":
    main(*sys.argv[1:])
