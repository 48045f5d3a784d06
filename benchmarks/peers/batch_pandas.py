"""Owns what a user would write to score a file: pandas reads it, scikit-learn answers, pandas writes."""

from __future__ import annotations

import sys
import time

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

NUMBERS = ["sched_dep_time", "sched_arr_time", "distance", "hour"]
TEXTS = ["carrier", "origin", "dest"]


def main(learnt: list[str], source: str, target: str) -> None:
    """Fit on *learnt*, then print how many rows of *source* are scored a second, imports and fit apart."""
    rows = pd.concat([pd.read_parquet(path) for path in learnt]).dropna(subset=["arr_delay"])
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("numbers", "passthrough", NUMBERS), ("texts", encoder, TEXTS)])
    model = make_pipeline(columns, HistGradientBoostingClassifier(random_state=0))
    model.fit(rows[NUMBERS + TEXTS], rows["arr_delay"] > 15)
    began = time.perf_counter()
    table = pd.read_parquet(source)
    late = model.predict_proba(table[NUMBERS + TEXTS])[:, 1]
    answers = table[["carrier", "flight", "time_hour"]].assign(prediction=late > 0.5, probability_true=late)
    answers.to_parquet(target)
    print(len(table) / (time.perf_counter() - began))


if __name__ == "__main__":
    main(sys.argv[3:], sys.argv[1], sys.argv[2])
