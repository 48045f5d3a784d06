from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression

from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, ingest, read_side
from evertrain.errors import ConfigError, TrainingError
from evertrain.native import load_native, open_native
from evertrain.settings import read_settings
from evertrain.storage import Store, open_store
from evertrain.training import describe_parameters, read_rows, train

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = read_settings({})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 300 rows, an hour apart, of every kind of column."""
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    numbers, texts = rng.normal(size=300), rng.choice(["a", "b", ""], 300)
    answers = np.where(numbers + rng.normal(size=300) > 0, "Yes", "No")
    levels = np.digitize(numbers, [-0.5, 0.5])
    lines = ["when,a number,text,answer,level,amount,weight"]
    for row in range(300):
        moment = np.datetime64("2025-01-01T00:00") + np.timedelta64(row, "h")
        number = "" if row % 17 == 0 else f"{numbers[row]:.5f}"
        # The class 2 of `level` occurs among the newest rows alone.
        level = levels[row] if row > 250 else min(levels[row], 1)
        label = "" if row % 29 == 0 else answers[row]
        amount = 2 * numbers[row] + 1
        lines.append(f"{moment},{number},{texts[row]},{label},{level},{amount:.5f},{row % 3}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return open_store(str(folder / "store"))


def config(folder: Path, estimator: str, task: str, target: str, **options: Any) -> PipelineConfig:
    training = {"estimator": estimator, **options.pop("training", {})}
    data = {
        "source": {"type": "files", "uri": str(folder / "rows.csv")},
        "timestamp": "when",
        "target": target,
        "features": {"numeric": ["a number"], "categorical": ["text"], "datetime": ["when"]},
        **options,
    }
    return PipelineConfig.model_validate(
        {"name": "tiny", "data": data, "training": training, "evaluation": {"task": task}}
    )


def binary(folder: Path, **options: Any) -> PipelineConfig:
    return config(
        folder, "sklearn.linear_model.LogisticRegression", "binary_classification", "answer", **options
    )


def take_in(pipeline: PipelineConfig, store: Store) -> Ingested:
    return ingest(pipeline, store, as_of=None, now=NOW)


def test_a_classifier_is_kept_with_its_signature(folder: Path, store: Store) -> None:
    """The fitted pipeline lies in the store by its digest, and says what it asks and answers."""
    pipeline = binary(folder, training={"params": {"C": 0.5}, "seed": 3})
    ingested = take_in(pipeline, store)
    trained = train(pipeline, ingested, store, SETTINGS)
    data = store.get(trained.key) or b""
    assert trained.key == f"models/{trained.digest}.skops"
    assert hashlib.sha256(data).hexdigest() == trained.digest
    assert load_native(data)[-1].C == 0.5
    assert trained.train_rows == ingested.snapshot.train_rows
    assert trained.estimator == "sklearn.linear_model.LogisticRegression"
    assert (trained.parameters["C"], trained.parameters["random_state"]) == (0.5, 3)
    assert trained.fit_seconds > 0
    signature = trained.signature
    assert [feature.name for feature in signature.features] == ["a number", "text", "when"]
    assert (signature.classes, signature.has_probabilities) == (("No", "Yes"), True)
    assert signature.ignored == ("answer", "level", "amount", "weight")
    assert signature.timestamp == "when"


def test_training_twice_gives_the_same_model(folder: Path, store: Store) -> None:
    """The same snapshot and configuration give the same bytes under the same key."""
    pipeline = binary(folder)
    ingested = take_in(pipeline, store)
    first, second = (train(pipeline, ingested, store, SETTINGS) for _ in range(2))
    assert first.key == second.key


def test_the_model_answers_the_signatures_classes(folder: Path, store: Store) -> None:
    """What was kept answers most training rows with their own labels."""
    pipeline = binary(folder)
    ingested = take_in(pipeline, store)
    trained = train(pipeline, ingested, store, SETTINGS)
    rows, classes = read_rows(pipeline, ingested, store)
    prediction = open_native(store.get(trained.key) or b"", trained.signature)(rows.inputs)
    assert classes == ("No", "Yes")
    assert np.mean(prediction.codes == rows.target) > 0.7


def test_a_regression_learns_numbers(folder: Path, store: Store) -> None:
    """A regression has neither classes nor probabilities."""
    pipeline = config(folder, "sklearn.linear_model.Ridge", "regression", "amount")
    trained = train(pipeline, take_in(pipeline, store), store, SETTINGS)
    assert trained.signature.classes is None
    assert trained.signature.has_probabilities is False


def test_classes_that_were_not_learnt_are_not_answered(folder: Path, store: Store) -> None:
    """A class of the held-out rows alone is none of the model's."""
    pipeline = config(folder, "sklearn.linear_model.LogisticRegression", "multiclass_classification", "level")
    ingested = take_in(pipeline, store).model_copy(update={"classes": (0, 1, 2)})
    trained = train(pipeline, ingested, store, SETTINGS)
    assert trained.signature.classes == (0, 1)
    assert read_rows(pipeline, ingested, store)[0].target.tolist().count(2) == 0


def test_weights_and_the_newest_fifth_come_from_the_rows(folder: Path, store: Store) -> None:
    """Weights are the column's, and the newest fifth holds the latest timestamps."""
    pipeline = binary(folder, weight="weight")
    rows, _ = read_rows(pipeline, take_in(pipeline, store), store)
    assert set(rows.weights.tolist()) == {0.0, 1.0, 2.0}
    assert rows.newest.sum() == len(rows.target) // 5
    days = rows.inputs["in_002_hour"]
    assert len(days) == len(rows.newest)
    assert rows.newest[-1]
    assert not rows.newest[0]


def test_rows_of_one_entity_are_numbered_alike(folder: Path, store: Store) -> None:
    """Without timestamps the entity's columns make one number a row; with them, time parts the rows."""
    features = {"numeric": ["a number"], "categorical": ["text"]}
    for entity in (["text", "level"], ["when"]):
        pipeline = binary(folder, timestamp=None, features=features, entity=entity)
        ingested = take_in(pipeline, store)
        rows, _ = read_rows(pipeline, ingested, store)
        table = read_side(store, ingested.snapshot, "train", target="answer")
        entities = list(zip(*(table.column(name).to_pylist() for name in entity), strict=True))
        assert rows.groups is not None
        numbers = rows.groups.tolist()
        assert len(set(zip(entities, numbers, strict=True))) == len(set(entities)) == len(set(numbers))
    timed = binary(folder, features=features, entity=["text", "level"])
    assert read_rows(timed, take_in(timed, store), store)[0].groups is None


def test_without_timestamps_a_stable_fifth_is_set_apart(folder: Path, store: Store) -> None:
    """Every fifth row of the snapshot's fixed order stands for the newest."""
    features = {"numeric": ["a number"], "categorical": ["text"]}
    pipeline = binary(folder, timestamp=None, features=features)
    rows, _ = read_rows(pipeline, take_in(pipeline, store), store)
    assert rows.newest.tolist()[:10] == [False, False, False, False, True] * 2


def test_calibrated_parameters_are_the_estimators(folder: Path, store: Store) -> None:
    """The parameters told are those of the configured estimator, not of what calibrates it."""
    pipeline = binary(folder, training={"calibration": "sigmoid"})
    trained = train(pipeline, take_in(pipeline, store), store, SETTINGS)
    assert "max_iter" in trained.parameters


def test_parameters_travel_as_json(folder: Path, store: Store) -> None:
    """A parameter that JSON can't hold is told by its spelling."""
    pipeline = config(folder, "sklearn.linear_model.Lars", "regression", "amount")
    trained = train(pipeline, take_in(pipeline, store), store, SETTINGS)
    assert isinstance(trained.parameters["eps"], float)
    parameters = describe_parameters(LogisticRegression(C=np.inf))
    assert json.loads(json.dumps(parameters, allow_nan=False))["C"] == "inf"


def test_a_calibration_of_no_estimator_in_particular_is_described_itself() -> None:
    """scikit-learn's own calibrated classifier may be trained as it is, with its default inside."""
    assert describe_parameters(CalibratedClassifierCV())["method"] == "sigmoid"


def test_what_cant_be_kept_is_a_training_error(folder: Path, store: Store) -> None:
    """An allowed package's estimator whose type our list doesn't know can't travel as skops, and says so."""
    own = "tests.unit.training.outside_estimators.OwnMean"
    allowing = read_settings({"EVERTRAIN_ALLOWED_PACKAGES": "sklearn,tests"})
    pipeline = config(folder, own, "regression", "amount")
    with pytest.raises(TrainingError, match=r"was fitted, but can't be kept.*outside_estimators\.OwnMean"):
        train(pipeline, take_in(pipeline, store), store, allowing)


def test_an_estimator_outside_the_list_never_fits(folder: Path, store: Store) -> None:
    """The estimator is checked before any work."""
    pipeline = config(folder, "subprocess.Popen", "regression", "amount")
    with pytest.raises(ConfigError, match=r"subprocess\.Popen"):
        train(pipeline, take_in(pipeline, store), store, SETTINGS)
