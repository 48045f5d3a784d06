from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from evertrain.bundles import check_golden, load_bundle
from evertrain.columns import encode_inputs, input_names
from evertrain.config import PipelineConfig
from evertrain.datasets import Ingested, ingest, read_side, to_columns
from evertrain.datasets.stored_rows import reference_rows
from evertrain.drift import plan_drift
from evertrain.errors import BundleRefused, TrainingError
from evertrain.native import as_frame, load_native
from evertrain.packaging import pack_model, package, plan_serving
from evertrain.packaging.conversion import Conversion, to_onnx
from evertrain.records import BundleRef, Feature, Signature, TrainedModel
from evertrain.settings import read_settings
from evertrain.storage import Store, open_store
from evertrain.training import train
from evertrain.training.preprocessing import build_preprocessor

PROVENANCE = {"run_key": "abc", "snapshot": "def"}
FEATURES = (
    Feature(name="x", kind="numeric", type="float"),
    Feature(name="c", kind="categorical", type="string"),
)
REGRESSION = Signature(task="regression", target="y", features=FEATURES)


class Run:
    """One pipeline on a small table, trained and packed."""

    def __init__(self, folder: Path, store: Store, estimator: str, task: str, target: str) -> None:
        data = {
            "source": {"type": "files", "uri": str(folder / "rows.csv")},
            "target": target,
            "features": {"numeric": ["x", "flag"], "categorical": ["c"], "datetime": ["when"]},
        }
        raw = {
            "name": "tiny",
            "data": data,
            "training": {"estimator": estimator},
            "evaluation": {"task": task},
        }
        self.store = store
        self.config = PipelineConfig.model_validate(raw)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        self.ingested: Ingested = ingest(self.config, store, as_of=None, now=now)
        self.trained: TrainedModel = train(self.config, self.ingested, store, read_settings({}))

    def package(self) -> BundleRef:
        return package(self.config, self.ingested, self.trained, self.store, PROVENANCE)

    def held_out(self) -> dict[str, np.ndarray]:
        table = read_side(self.store, self.ingested.snapshot, "holdout", target=self.config.data.target)
        return to_columns(table, [feature.name for feature in self.trained.signature.features])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packaging")
    rng = np.random.default_rng(0)
    lines = ["x,flag,c,when,late,amount"]
    for row in range(400):
        x, c = rng.normal(), rng.choice(["a", "b", "é", ""])
        flag = "true" if rng.random() < 0.3 else "false"
        late = "true" if x + (c == "a") + rng.normal() > 0.5 else "false"
        day = np.datetime64("2025-01-01") + np.timedelta64(row, "D")
        lines.append(f"{'' if row % 13 == 0 else f'{x:.6f}'},{flag},{c},{day}T05:00:00,{late},{3 * x:.6f}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return open_store(str(folder / "store"))


@pytest.fixture(scope="module")
def classifier(folder: Path, store: Store) -> Run:
    task = "binary_classification"
    return Run(folder, store, "sklearn.linear_model.LogisticRegression", task, "late")


@pytest.fixture(scope="module")
def packed(classifier: Run) -> BundleRef:
    return classifier.package()


def test_a_linear_model_is_served_in_onnx(classifier: Run, packed: BundleRef) -> None:
    """The bundle answers in ONNX as scikit-learn does, and reproduces its golden rows."""
    ref = packed
    bundle = load_bundle(classifier.store, ref.digest)
    check_golden(bundle)
    assert (ref.runtime, ref.reason, ref.size_bytes) == ("onnx", None, bundle.size_bytes)
    assert ref.parity is not None
    assert ref.parity.labels_different == 0
    assert ref.parity.max_difference < ref.parity.tolerance == 1e-5
    assert ref.parity.rows > classifier.ingested.snapshot.holdout_rows
    pipeline = load_native(classifier.store.get(classifier.trained.key) or b"")
    held_out = classifier.held_out()
    inputs = encode_inputs(bundle.signature.features, held_out)
    expected = pipeline.predict_proba(as_frame(inputs))
    assert np.allclose(bundle.predict(held_out).probabilities, expected, atol=1e-5)
    assert bundle.predict(held_out).labels(bundle.signature)[0] in (True, False)


def test_packing_twice_gives_the_same_bundle(classifier: Run, packed: BundleRef) -> None:
    """The digest is decided by what goes in."""
    assert classifier.package() == packed


def test_a_bundle_remembers_where_it_comes_from(classifier: Run, packed: BundleRef) -> None:
    """It holds provenance, libraries' versions, what the training rows looked like, how drift is told."""
    bundle = load_bundle(classifier.store, packed.digest)
    assert PROVENANCE.items() <= bundle.provenance.items()
    assert {"python", "scikit-learn", "skl2onnx", "onnxruntime"} <= bundle.provenance.keys()
    assert list(bundle.statistics) == sorted(["x", "flag", "c", "when"])
    assert bundle.statistics["x"]["missing_share"] > 0
    learnt = reference_rows(classifier.store, classifier.ingested.snapshot)
    assert bundle.drift is not None
    assert bundle.drift == plan_drift(bundle.signature.features, learnt)
    assert all(column.curve is not None for column in bundle.drift.columns)
    assert bundle.serving == plan_serving(classifier.config)
    assert bundle.signature == classifier.trained.signature


def test_a_model_that_onnx_answers_otherwise_is_served_natively(folder: Path, store: Store) -> None:
    """Nearest neighbours stay native, with the reason, and answer exactly as scikit-learn."""
    run = Run(folder, store, "sklearn.neighbors.KNeighborsRegressor", "regression", "amount")
    ref = run.package()
    bundle = load_bundle(store, ref.digest)
    check_golden(bundle)
    assert (ref.runtime, ref.parity) == ("native", None)
    assert ref.reason is not None
    assert "KNeighborsRegressor is not exact in ONNX" in ref.reason
    assert np.isfinite(bundle.predict(run.held_out()).values).all()


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_model_that_isnt_what_train_kept_is_refused(change: str, folder: Path, tmp_path: Path) -> None:
    """The fitted model is verified before it is loaded."""
    store = open_store(str(tmp_path / "store"))
    run = Run(folder, store, "sklearn.linear_model.Ridge", "regression", "amount")
    if change == "gone":
        store.delete(run.trained.key)
    else:
        store.put(run.trained.key, b"other")
    with pytest.raises(BundleRefused, match="train again"):
        run.package()


class Unanswering(RegressorMixin, BaseEstimator):
    """Answers NaN, or raises where it is told a number."""

    def __init__(self, radius: float = np.nan) -> None:
        self.radius = radius

    def fit(self, X: Any, y: Any) -> Unanswering:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> np.ndarray:
        if np.isnan(self.radius):
            return np.full(X.shape[0], np.nan)
        raise ValueError("no neighbours within radius")


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=50).astype(np.float32)
    return {"in_000": numbers, "in_001": rng.choice(np.array(["a", "b"], dtype=object), 50)}


def fit(model: Any) -> Pipeline:
    specs = input_names(FEATURES)
    pipeline = Pipeline([("inputs", build_preprocessor(model, specs)), ("model", model)])
    return pipeline.fit(as_frame(inputs()), inputs()["in_000"].astype(np.float64) * 2)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Unanswering(), "numbers that aren't finite"),
        (Unanswering(1.0), "can't answer the held-out rows.*no neighbours"),
    ],
)
def test_a_model_that_cant_answer_is_a_training_error(model: Any, said: str) -> None:
    """A model that fails on held-out or odd rows is no bundle."""
    with pytest.raises(TrainingError, match=said):
        pack_model(fit(model), b"", REGRESSION, inputs(), 1e-4)


def test_other_answers_in_onnx_keep_the_model_native() -> None:
    """Where the converted model isn't the fitted one, parity fails and the fitted one is served."""
    stranger = fit(LinearRegression())
    stranger[-1].coef_[0] *= 1.01
    converted = Conversion(to_onnx(stranger, input_names(FEATURES)))
    packed = pack_model(fit(LinearRegression()), b"skops", REGRESSION, inputs(), 1e-4, lambda *_: converted)
    assert (packed.runtime, packed.data) == ("native", b"skops")
    assert packed.reason is not None
    assert packed.reason.startswith("it answers otherwise in ONNX")


@pytest.mark.parametrize(
    ("conversion", "reason"),
    [
        (Conversion(None, "skl2onnx has no converter for it"), "skl2onnx has no converter for it"),
        (Conversion(b"no model"), "ONNX Runtime can't open the model"),
    ],
)
def test_a_model_that_doesnt_reach_onnx_stays_native(conversion: Conversion, reason: str) -> None:
    """What doesn't convert, or can't be loaded, is served natively with the reason."""
    packed = pack_model(fit(LinearRegression()), b"skops", REGRESSION, inputs(), 1e-4, lambda *_: conversion)
    assert (packed.runtime, packed.data, packed.parity) == ("native", b"skops", None)
    assert reason in (packed.reason or "")
