from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from evertrain.columns import encode_inputs, input_names
from evertrain.config import PipelineConfig
from evertrain.datasets import ingest
from evertrain.records import Feature
from evertrain.settings import read_settings
from evertrain.storage import open_store
from evertrain.training import train
from evertrain.training.lone_features import find_lone_features
from evertrain.training.rows import TrainingRows, find_newest_fifth

NUMBER = Feature(name="a number", kind="numeric", type="float")
TEXT = Feature(name="a text", kind="categorical", type="string")
TIME = Feature(name="a time", kind="datetime", type="timestamp")
COUNT = 1000


def rows(feature: Feature, values: np.ndarray, target: np.ndarray) -> TrainingRows:
    return TrainingRows(
        inputs=encode_inputs((feature,), {feature.name: values}),
        specs=input_names((feature,)),
        target=target,
        is_classification=target.dtype.kind == "i",
        weights=None,
        newest=find_newest_fifth(None, len(target)),
    )


RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=COUNT)
CODES = RNG.integers(0, 2, COUNT)
THREE = RNG.integers(0, 3, COUNT)
NAMES = np.array([f"name {row}" for row in range(COUNT)], dtype=object)


@pytest.mark.parametrize(
    ("feature", "values", "target", "classes", "told"),
    [
        (NUMBER, CODES + 0.1 * NOISE, CODES, (False, True), "tells class True from the rest with AUC 1.0000"),
        (NUMBER, -CODES + 0.1 * NOISE, CODES, ("No", "Yes"), "tells class 'Yes' from the rest with AUC"),
        (NUMBER, np.where(CODES, np.nan, NOISE), CODES, (0, 1), "tells class 1 from the rest with AUC"),
        (TEXT, np.where(CODES, "gone", "here").astype(object), CODES, (0, 1), "tells class 1 from the rest"),
        (NUMBER, (THREE == 1) + 0.1 * NOISE, THREE, (7, 8, 9), "tells class 8 from the rest with AUC"),
        (NUMBER, 3 * NOISE + 1, NOISE, None, "has |r| 1.0000 with the target"),
        (TEXT, np.where(CODES, "low", "high").astype(object), CODES * 5.0, None, "has |r| 1.0000 with"),
        (
            TIME,
            np.where(CODES, np.datetime64("2020-01-01"), np.datetime64("2021-01-01")),
            CODES,
            (0, 1),
            "tells class 1",
        ),
    ],
)
def test_a_feature_that_tells_the_target_is_named(feature, values, target, classes, told) -> None:
    """By number, by absence, by category or by a part of a time: column and measure are named."""
    (suspicion,) = find_lone_features((feature,), rows(feature, values, target), classes)
    assert suspicion.startswith(f"column {feature.name!r} alone {told}")


@pytest.mark.parametrize(
    ("feature", "values", "target", "classes"),
    [
        (NUMBER, CODES + NOISE, CODES, (0, 1)),
        (NUMBER, NOISE, THREE, (0, 1, 2)),
        # Each row has a name of its own, which tells nothing of other rows.
        (TEXT, NAMES, CODES, (0, 1)),
        (TEXT, NAMES, NOISE, None),
        (NUMBER, NOISE + 0.2 * RNG.normal(size=COUNT), NOISE, None),
        (NUMBER, np.ones(COUNT), NOISE, None),
        # Nine rows of a class, or of numbers, agree by chance.
        (NUMBER, np.arange(COUNT) * 1.0, (np.arange(COUNT) >= COUNT - 9).astype(np.int64), (0, 1)),
        (NUMBER, np.where(np.arange(COUNT) < 9, NOISE, np.nan), NOISE, None),
    ],
)
def test_a_feature_that_merely_helps_is_not_named(feature, values, target, classes) -> None:
    """Neither strong features nor names nor a handful of rows raise a suspicion."""
    assert find_lone_features((feature,), rows(feature, values, target), classes) == ()


def test_of_many_rows_an_even_share_is_looked_at() -> None:
    """Half a million rows are looked at within moments, and the leak is found."""
    count = 500_000
    codes = np.random.default_rng(0).integers(0, 2, count)
    made = rows(NUMBER, codes + 0.1 * np.random.default_rng(1).normal(size=count), codes)
    began = time.perf_counter()
    assert len(find_lone_features((NUMBER,), made, (0, 1))) == 1
    assert time.perf_counter() - began < 10


def test_training_warns_of_a_leak_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The suspicion stands in the log and with the model; the model is trained nonetheless."""
    lines = ["when,leak,other,answer"]
    for row in range(200):
        answer, moment = row * 7 % 3 % 2, np.datetime64("2025-01-01T00:00") + np.timedelta64(row, "h")
        lines.append(f"{moment},{answer * 2 + row % 5 / 10},{row % 11},{answer}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = PipelineConfig.model_validate(
        {
            "name": "tiny",
            "data": {
                "source": {"type": "files", "uri": str(tmp_path / "rows.csv")},
                "timestamp": "when",
                "target": "answer",
            },
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": "binary_classification"},
        }
    )
    store = open_store(str(tmp_path / "store"))
    ingested = ingest(config, store, as_of=None, now=datetime(2026, 1, 1, tzinfo=UTC))
    with caplog.at_level(logging.WARNING, logger="evertrain.training"):
        trained = train(config, ingested, store, read_settings({}))
    assert len(trained.warnings) == 1
    assert trained.warnings[0].startswith("column 'leak' alone tells class 1 from the rest with AUC 1.0")
    assert f"leakage? {trained.warnings[0]}" in caplog.messages

    # A part of the training side among the held-out ones: no split of ours does that, a fault might.
    parts = ingested.snapshot.parts
    learnt = next(part for part in parts if part.side == "train")
    twice = ingested.snapshot.model_copy(
        update={"parts": (*parts, learnt.model_copy(update={"side": "holdout"}))}
    )
    again = train(config, ingested.model_copy(update={"snapshot": twice}), store, read_settings({}))
    assert again.warnings[1] == (
        f"{learnt.rows:,} held-out rows are equal to rows that were learnt from, in every column"
    )
