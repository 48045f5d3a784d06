"""Tests of what a check tells of a champion's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from evertrain.bundle_files import Golden, write_bundle
from evertrain.bundles import Bundle, load_bundle
from evertrain.canonical import canonical_json
from evertrain.columns import encode_inputs, input_names
from evertrain.datasets.stored_rows import StoredRows, rows_of_table
from evertrain.drift import measure_predictions
from evertrain.native import as_frame, dump_native
from evertrain.records import Feature, Signature
from evertrain.storage import open_store
from evertrain.training.preprocessing import build_preprocessor

FEATURES = (Feature(name="x", kind="numeric", type="float"),)


def make_bundle(folder: Path, model: Any, labels: np.ndarray, **signature: Any) -> Bundle:
    """A bundle of *model*, which learnt *labels* of evenly spread numbers."""
    numbers = np.linspace(-3, 3, len(labels))
    inputs, specs = encode_inputs(FEATURES, {"x": numbers}), input_names(FEATURES)
    pipeline = Pipeline([("inputs", build_preprocessor(model, specs)), ("model", model)])
    pipeline.fit(as_frame(inputs), labels)
    store = open_store(str(folder / "store"))
    files = {
        "model.skops": dump_native(pipeline),
        "signature.json": canonical_json(
            Signature(target="y", features=FEATURES, **signature).model_dump(mode="json")
        ),
        "golden.json": canonical_json(Golden(columns={"x": [1]}, tolerance=1, values=[1]).model_dump()),
        "statistics.json": b"{}",
        "provenance.json": b"{}",
    }
    return load_bundle(store, write_bundle(store, "native", files, "0.1.0"))


def rows(seed: int, count: int, moved: float = 0.0) -> StoredRows:
    numbers = np.random.default_rng(seed).normal(moved, 1, count)
    return rows_of_table(pa.table({"x": numbers, "y": np.zeros(count)}))


@pytest.fixture(scope="module", params=["regression", "binary", "classes", "labels"])
def champion(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder, places = tmp_path_factory.mktemp(request.param), np.arange(90)
    if request.param == "regression":
        return make_bundle(folder, LinearRegression(), places * 1.0, task="regression")
    if request.param == "classes":
        facts = {"task": "multiclass_classification", "has_probabilities": True}
        return make_bundle(folder, LogisticRegression(), places // 30, classes=(0, 1, 2), **facts)
    facts = {"task": "binary_classification", "has_probabilities": request.param == "binary"}
    model = LogisticRegression() if request.param == "binary" else LinearSVC()
    return make_bundle(folder, model, (places > 60).astype(int), classes=(0, 1), **facts)


NAMES = {
    ("regression", False): ("predicted y", "wasserstein"),
    ("binary_classification", True): ("probability of 1", "wasserstein"),
    ("binary_classification", False): ("predicted class of y", "jensenshannon"),
    ("multiclass_classification", True): ("predicted class of y", "jensenshannon"),
}


def test_answers_that_moved_have_drifted_and_others_have_not(champion: Bundle) -> None:
    """Numbers, the positive class's probability, or the mix of classes: whatever the model gives."""
    held_out = rows(0, 3000)

    still = measure_predictions(champion, held_out, rows(1, 800), seed=0)
    moved = measure_predictions(champion, held_out, rows(1, 800, moved=1.0), seed=0)

    signature = champion.signature
    assert (still.name, still.method) == NAMES[signature.task, signature.has_probabilities]
    assert (still.drifted, moved.drifted) == (False, True)
    assert still.p_value is not None
    assert still.p_value > 0.001
    assert moved.shape is not None


def test_what_the_champion_cant_answer_is_told(tmp_path: Path) -> None:
    """Rows without its columns, with text for numbers, or no rows at all: a reason, and no drift."""
    champion = make_bundle(tmp_path, LinearRegression(), np.arange(9.0), task="regression")
    text = rows_of_table(pa.table({"x": ["high", "low"]}))
    for held_out, current, reason in (
        (rows(0, 50), rows_of_table(pa.table({"z": [1.0]})), "the champion can't answer the current rows"),
        (text, rows(0, 50), "the champion can't answer the held-out rows"),
        (rows(0, 0), rows(0, 50), "there are no held-out rows"),
    ):
        found = measure_predictions(champion, held_out, current, seed=0)
        assert (found.score, found.drifted) == (None, False)
        assert found.reason is not None
        assert found.reason.startswith(reason)


def test_of_many_rows_a_sample_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million rows don't hold a check up; the sample is the same for the same seed."""
    monkeypatch.setattr("evertrain.drift.predictions.MOST_ROWS", 500)
    monkeypatch.setattr("evertrain.drift.predictions.ROWS_AT_ONCE", 200)
    champion = make_bundle(tmp_path, LinearRegression(), np.arange(9.0), task="regression")
    sides = rows(0, 4000), rows(1, 4000)
    first, again, other = (measure_predictions(champion, *sides, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.score != other.score
    whole = measure_predictions(champion, rows(0, 400), rows(1, 400), seed=1)
    assert whole == measure_predictions(champion, rows(0, 400), rows(1, 400), seed=2)
