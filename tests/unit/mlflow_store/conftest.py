"""Owns what the tests of MLflow's record share: an embedded database made once, and a run to write down."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from evertrain.bundle_files import write_bundle
from evertrain.canonical import canonical_json
from evertrain.config import PipelineConfig
from evertrain.mlflow_client import mlflow_client
from evertrain.records import (
    BundleRef,
    ChampionScore,
    Column,
    Evaluation,
    Feature,
    GateResult,
    MetricEstimate,
    Signature,
    Snapshot,
    TrainedModel,
    ValidationReport,
)
from evertrain.run_facts import RunFacts
from evertrain.settings import Settings, read_settings
from evertrain.storage import LocalStore

PNG = b"\x89PNG\r\n\x1a\n"
FEATURES = (
    Feature(name="dep time", kind="numeric", type="integer"),
    Feature(name="origin", kind="categorical", type="string"),
)
SIGNATURE = Signature(
    task="binary_classification",
    target="late",
    features=FEATURES,
    classes=("No", "Yes"),
    has_probabilities=True,
)


@pytest.fixture(autouse=True)
def mlflow_s_address_is_forgotten():
    """MLflow writes the address that a test sets into the environment, where later tests would find it."""
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """A home in which MLflow's database has been made, once for all tests."""
    home = tmp_path_factory.mktemp("template")
    with mlflow_client(settings_of(home), "make the database"):
        return home


@pytest.fixture
def settings(template, tmp_path) -> Settings:
    """Settings of an own home with an MLflow database that holds nothing yet."""
    home = tmp_path / "own home"
    home.mkdir()
    shutil.copy(template / "mlflow.db", home / "mlflow.db")
    return settings_of(home)


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory) -> Path:
    """The folder of a real bundle with a fitted scikit-learn pipeline, in a local store."""
    store = LocalStore(tmp_path_factory.mktemp("store"))
    store.prepare()
    documents = {
        "signature.json": SIGNATURE.model_dump(mode="json"),
        "golden.json": {"columns": {}, "tolerance": 0.0},
        "statistics.json": {},
        "provenance.json": {},
    }
    files = {name: canonical_json(document) for name, document in documents.items()}
    digest = write_bundle(store, "native", {**files, "model.skops": fitted_model()}, "0")
    return store.path(f"bundles/{digest}")


@pytest.fixture
def facts(bundle_folder) -> RunFacts:
    """A complete training run of the pipeline flights."""
    return make_facts(bundle_folder)


@pytest.fixture
def other(facts) -> RunFacts:
    """Another run of the same pipeline."""
    return dataclasses.replace(facts, run_key="b" * 64)


def make_facts(bundle_folder: Path) -> RunFacts:
    config = PipelineConfig.model_validate(
        {
            "name": "flights",
            "description": "Late?",
            "data": {"source": {"type": "files", "uri": "data/*.parquet"}, "target": "late"},
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": "binary_classification"},
        }
    )
    snapshot = Snapshot(
        digest="5" * 64,
        rows=100,
        unlabelled=1,
        train_rows=79,
        holdout_rows=20,
        columns=(Column(name="origin", type="string"), Column(name="late", type="string")),
        parts=(),
    )
    trained = TrainedModel(
        key="models/x.skops",
        digest="e" * 64,
        signature=SIGNATURE,
        estimator="sklearn.linear_model.LogisticRegression",
        parameters={"C": 1.0, "penalty": "l2", "class_weight": None},
        fit_seconds=0.5,
        train_rows=79,
    )
    return RunFacts(
        config=config,
        snapshot=snapshot,
        validation=ValidationReport(success=True, rows=100),
        trained=trained,
        bundle=BundleRef(digest=bundle_folder.name, runtime="native", size_bytes=1),
        bundle_folder=bundle_folder,
        evaluation=make_evaluation(),
        gates=(GateResult(type="signature", verdict="pass", reason="same"),),
        run_key="a" * 64,
        config_digest="c" * 64,
        code_digest="d" * 64,
        as_of=datetime(2013, 4, 1, tzinfo=UTC),
        pictures={"roc.png": PNG},
        pages={"report.html": "<p>report</p>"},
    )


def make_evaluation() -> Evaluation:
    estimate = MetricEstimate(value=0.7, low=0.6, high=0.8)
    champion = ChampionScore(version=1, metrics={"roc_auc": MetricEstimate(value=0.65, low=0.6, high=0.7)})
    return Evaluation(rows=20, metrics={"roc_auc": estimate}, champion=champion)


def settings_of(home: Path) -> Settings:
    return read_settings({"EVERTRAIN_HOME": str(home), "EVERTRAIN_ACTOR": "tester"})


def fitted_model() -> bytes:
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    from evertrain.native import dump_native

    frame = pd.DataFrame(
        {"in_000": np.array([1, 2, 3, 4], dtype=np.float32), "in_001": ["EWR", "EWR", "JFK", "JFK"]}
    )
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("n", SimpleImputer(), ["in_000"]), ("c", encoder, ["in_001"])])
    pipeline = Pipeline([("columns", columns), ("model", LogisticRegression())])
    return dump_native(pipeline.fit(frame, [0, 0, 1, 1]))
