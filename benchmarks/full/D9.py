"""Owns the proof D9: labels that come late, in any order, decide as sorted ones do, and none before it came."""

from __future__ import annotations

import itertools
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from resumable import prove

from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, ingest, read_snapshot
from evertrain.realised import read_outcomes
from evertrain.storage import LocalStore, Store
from serving.prediction_log.parts import make_answer_parts, make_label_parts

CLAIM = (
    "labels of 60 days, delayed 0 to 30 days, a fifth missing, a fifth doubled by wrong ones before, in any "
    "order: once all have come the run is the sorted stream's to the digest, and so is what came of the "
    "service's answers; at no moment before is a label used that had not arrived"
)
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS, ROWS_A_DAY, DELAY_DAYS = 60, 50, 30
LOOKS = (20, 35, 50, 65, 80)


class Told(NamedTuple):
    """Labels: of which row, which, and how many days after START they arrived."""

    row: np.ndarray
    label: np.ndarray
    arrived: np.ndarray

    def reordered(self, order: np.ndarray) -> Told:
        """The same labels in another order."""
        return Told(self.row[order], self.label[order], self.arrived[order])


def trial(seed: int) -> dict[str, int]:
    """Draw a stream, and look at it while it comes and when all of it has come."""
    rng = np.random.default_rng([109, seed])
    rows = DAYS * ROWS_A_DAY
    day = np.sort(rng.uniform(0, DAYS, rows))
    size = rng.normal(size=rows)
    truth = (size + rng.normal(size=rows) > 0).astype(np.int64)
    known = np.flatnonzero(rng.random(rows) >= 0.2)
    late = day[known] + rng.uniform(0, DELAY_DAYS, known.size)
    wrong = rng.random(known.size) < 0.2
    early = day[known][wrong] + rng.random(wrong.sum()) * (late[wrong] - day[known][wrong])
    came = Told(
        np.concatenate([known, known[wrong]]),
        np.concatenate([truth[known], 1 - truth[known][wrong]]),
        np.concatenate([late, early]),
    )
    at_once = Told(known, truth[known], day[known])
    with tempfile.TemporaryDirectory(prefix="evertrain-D9-") as folder:
        os.environ["EVERTRAIN_HOME"] = folder
        runs = look_at_runs(rng, Path(folder), day, size, at_once, came)
        return runs | look_at_answers(Path(folder), day, size, at_once, came)


def look_at_runs(
    rng: np.random.Generator, folder: Path, day: np.ndarray, size: np.ndarray, at_once: Told, came: Told
) -> dict[str, int]:
    """Ingest the rows with labels joined by entity and time."""
    frame = pd.DataFrame({"row": np.arange(day.size), "day": moments(day), "size": size})
    frame.to_parquet(folder / "rows.parquet", index=False)
    store, config = LocalStore(folder / "store"), pipeline(folder)
    write_labels(folder, frame, at_once)
    # Once all have come, it is the same whether a label came at once or late.
    sorted_run = ingest(config, store, as_of=moment(DAYS + DELAY_DAYS), now=moment(999))
    write_labels(folder, frame, came.reordered(rng.permutation(came.row.size)))
    late_run = ingest(config, store, as_of=moment(DAYS + DELAY_DAYS), now=moment(999))
    used = early = not_newest = 0
    for look in LOOKS:
        found = labels_used(store, ingest(config, store, as_of=moment(look), now=moment(999)))
        expected = newest_known(came, look)
        used += len(found)
        early += len(found.keys() - expected.keys())
        not_newest += sum(label != expected[row] for row, label in found.items() if row in expected)
    return {
        "runs": 1,
        "runs_alike": int(late_run == sorted_run),
        "labels_used": used,
        "used_before_arrival": early,
        "used_though_replaced": not_newest,
    }


def look_at_answers(
    folder: Path, day: np.ndarray, size: np.ndarray, at_once: Told, came: Told
) -> dict[str, int]:
    """Read what came of the same rows, had the service answered them."""
    found = {}
    for name, told in (("sorted", at_once), ("late", came)):
        store = LocalStore(folder / name)
        log_answers(store, day, size)
        log_labels(store, told)
        everything = moment(DAYS + DELAY_DAYS)
        found[name] = outcome_labels(store, folder, everything)
    used = early = 0
    for look in LOOKS:
        told = outcome_labels(LocalStore(folder / "late"), folder, moment(look))
        expected = newest_known(came, look)
        used += len(told)
        early += sum(expected.get(row) != label for row, label in told.items())
    return {
        "answers_alike": int(found["sorted"] == found["late"]),
        "answers_labelled": used,
        "answers_before_arrival": early,
    }


def pipeline(folder: Path) -> PipelineConfig:
    """Rows by day, and a label that arrives later."""
    return PipelineConfig.model_validate(
        {
            "name": "rows",
            "data": {
                "source": {"type": "files", "uri": str(folder / "rows.parquet")},
                "timestamp": "day",
                "target": "good",
                "entity": ["row"],
                "features": {"numeric": ["size"]},
            },
            "labels": {
                "source": {"type": "files", "uri": str(folder / "labels.parquet")},
                "join": ["row", "day"],
                "column": "good",
                "arrived_at": "arrived",
            },
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": "binary_classification"},
        }
    )


def write_labels(folder: Path, frame: pd.DataFrame, told: Told) -> None:
    """Write the labels in the order that they are in."""
    labels = {"row": told.row, "day": frame["day"].to_numpy()[told.row]}
    labels |= {"good": told.label, "arrived": moments(told.arrived)}
    pd.DataFrame(labels).to_parquet(folder / "labels.parquet", index=False)


def moment(days: float) -> datetime:
    """So many days after START."""
    return START + timedelta(days=float(days))


def moments(days: np.ndarray) -> np.ndarray:
    """The same for many, to the microsecond."""
    start = np.datetime64(START.replace(tzinfo=None), "us")
    return start + np.round(days * 86_400e6).astype("timedelta64[us]")


def labels_used(store: Store, ingested: Ingested) -> dict[int, int]:
    """By row, the label that the snapshot holds."""
    table = read_snapshot(store, ingested.snapshot, ["row", "good"]).to_pylist()
    return {each["row"]: each["good"] for each in table if each["good"] is not None}


def newest_known(told: Told, look: float) -> dict[int, int]:
    """By row, the label that had arrived last by *look*; found without evertrain."""
    known: dict[int, int] = {}
    for place in np.argsort(told.arrived, kind="stable"):
        if moments(told.arrived[place : place + 1])[0] <= np.datetime64(moment(look).replace(tzinfo=None)):
            known[int(told.row[place])] = int(told.label[place])
    return known


def log_answers(store: Store, day: np.ndarray, size: np.ndarray) -> None:
    """Keep a request a row, in segments of a day, as the service's shipper does."""
    model: dict[str, Any] = {"model": "rows/1", "bundle": "d" * 64, "pipeline": "rows", "version": 1}
    model |= {"features": [["size", "numeric", "float"]], "classes": [0, 1]}
    for number, places in itertools.groupby(range(day.size), key=lambda place: int(day[place])):
        lines = [
            {
                "of": "rows/1",
                "arm": "stable",
                "id": f"r{place}",
                "entity": None,
                "at": moment(day[place]).timestamp(),
                "seconds": 0.001,
                "columns": [[float(size[place])]],
                "labels": [int(size[place] > 0)],
                "scores": [[float(size[place] <= 0), float(size[place] > 0)]],
            }
            for place in places
        ]
        put_all(store, make_answer_parts(f"{number:020d}-0123456789ab", [model, *lines]))


def log_labels(store: Store, told: Told) -> None:
    """Keep labels as the feedback route took them, in segments of a day."""
    days = told.arrived.astype(np.int64)
    for number in np.unique(days):
        lines = [
            {
                "pipeline": "rows",
                "id": f"r{told.row[place]}/0",
                "label": int(told.label[place]),
                "at": moment(told.arrived[place]).timestamp(),
            }
            for place in np.flatnonzero(days == number)
        ]
        put_all(store, make_label_parts(f"{number:020d}-0123456789ab", lines))


def put_all(store: Store, parts: Any) -> None:
    """Keep a segment's parts."""
    for key, data in parts:
        store.put_if_absent(key, data)


def outcome_labels(store: Store, folder: Path, as_of: datetime) -> dict[int, int]:
    """By row, the label that stands beside its answer."""
    found = read_outcomes(store, pipeline(folder), since=moment(-1), until=as_of, as_of=as_of)
    rows = [int(name.split("/")[0][1:]) for name in found.prediction_id]
    labels = [int(found.truth.names[code]) for code in found.truth.codes.tolist()]
    return dict(zip(rows, labels, strict=True))


def judge(totals: dict[str, int], n: int) -> tuple[int, dict[str, float]]:
    """None may be early, and all must be alike."""
    wrong = ("used_before_arrival", "used_though_replaced", "answers_before_arrival")
    failed = sum(totals[name] > 0 for name in wrong)
    failed += sum(totals[name] < n for name in ("runs_alike", "answers_alike"))
    return failed, {
        "alike": min(totals["runs_alike"], totals["answers_alike"]) / n,
        "used_before_arrival": totals["used_before_arrival"] + totals["answers_before_arrival"],
    }


if __name__ == "__main__":
    prove("D9", CLAIM, trial, judge, n=25)
