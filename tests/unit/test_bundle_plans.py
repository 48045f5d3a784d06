from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from evertrain.bundle_files import DRIFT, SERVING, Golden, copy_bundle, write_bundle
from evertrain.bundles import load_bundle
from evertrain.canonical import canonical_json
from evertrain.columns import encode_inputs, input_names
from evertrain.config import PipelineConfig
from evertrain.drift import plan_drift
from evertrain.errors import BundleRefused
from evertrain.native import as_frame, dump_native
from evertrain.packaging import plan_serving
from evertrain.records import Feature, Signature
from evertrain.serving_plan import ServingPlan
from evertrain.storage import Store, open_store
from evertrain.training.preprocessing import build_preprocessor

FEATURES = (Feature(name="x", kind="numeric", type="float"),)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A bundle as it was before drift was looked for."""
    inputs, specs = encode_inputs(FEATURES, {"x": np.arange(9.0)}), input_names(FEATURES)
    model = LinearRegression()
    pipeline = Pipeline([("inputs", build_preprocessor(model, specs)), ("model", model)])
    pipeline.fit(as_frame(inputs), np.arange(9.0))
    signature = Signature(task="regression", target="y", features=FEATURES)
    return {
        "model.skops": dump_native(pipeline),
        "signature.json": canonical_json(signature.model_dump(mode="json")),
        "golden.json": canonical_json(Golden(columns={"x": [1]}, tolerance=1, values=[1]).model_dump()),
        "statistics.json": b"{}",
        "provenance.json": b"{}",
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def test_a_bundle_remembers_how_drift_is_told(files: dict[str, bytes], store: Store, tmp_path: Path) -> None:
    """The plan comes back as it was fixed at training time, also from a copy."""
    plan = plan_drift(FEATURES)
    planned = {**files, DRIFT: canonical_json(plan.model_dump(mode="json"))}
    digest = write_bundle(store, "native", planned, "0.1.0")
    other = open_store(str(tmp_path / "other"))
    copy_bundle(store, other, digest)
    assert load_bundle(store, digest).drift == load_bundle(other, digest).drift == plan


def test_a_bundle_of_before_loads_without_a_plan(files: dict[str, bytes], store: Store) -> None:
    """Bundles that were made before there were plans still serve, and are logged as by default."""
    bundle = load_bundle(store, write_bundle(store, "native", files, "0.1.0"))
    assert bundle.drift is None
    assert bundle.serving == ServingPlan(log_predictions=True, sample=1.0, expectations=())


def test_a_bundle_tells_the_service_what_to_keep_and_count(files: dict[str, bytes], store: Store) -> None:
    """The YAML's words on serving and its expectations reach the service, which reads no YAML."""
    config = PipelineConfig.model_validate(
        {
            "name": "ages",
            "data": {"source": {"type": "files", "uri": "ages.csv"}, "target": "y"},
            "validation": {
                "expectations": [
                    {
                        "type": "expect_column_values_to_be_between",
                        "column": "x",
                        "min_value": date(2013, 1, 1),
                    },
                    {"type": "expect_column_values_to_be_in_set", "column": "x", "value_set": [1, "a", None]},
                ]
            },
            "training": {"estimator": "sklearn.linear_model.LinearRegression"},
            "evaluation": {"task": "regression"},
            "serving": {"log_predictions": False, "sample": 0.25},
        }
    )
    document = canonical_json(plan_serving(config).model_dump(mode="json"))

    plan = load_bundle(store, write_bundle(store, "native", {**files, SERVING: document}, "0.1.0")).serving

    assert (plan.log_predictions, plan.sample) == (False, 0.25)
    assert plan.expectations == (
        {"type": "expect_column_values_to_be_between", "column": "x", "min_value": "2013-01-01"},
        {"type": "expect_column_values_to_be_in_set", "column": "x", "value_set": [1, "a", None]},
    )


def test_a_plan_of_another_version_is_refused(files: dict[str, bytes], store: Store) -> None:
    """What this version can't read is told by name, not guessed."""
    digest = write_bundle(store, "native", {**files, DRIFT: b'{"curves": []}'}, "9.0.0")
    with pytest.raises(BundleRefused, match=r"drift\.json of bundle"):
        load_bundle(store, digest)
