"""What tutorials show: FastAPI with pydantic rows, pandas, and a pipeline out of joblib."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["BENCH_MODEL"])


class Flight(BaseModel):
    """One row."""

    sched_dep_time: int
    sched_arr_time: int
    distance: float
    hour: int
    carrier: str
    origin: str
    dest: str


class Flights(BaseModel):
    """The rows of one request."""

    rows: list[Flight]


@app.post("/predict")
def predict(flights: Flights) -> dict[str, list]:
    """Score rows."""
    frame = pd.DataFrame([row.model_dump() for row in flights.rows])
    probabilities = model.predict_proba(frame)
    return {
        "predictions": model.classes_[probabilities.argmax(axis=1)].tolist(),
        "probabilities": probabilities.tolist(),
    }
