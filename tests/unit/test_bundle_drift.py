from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from evertrain.bundle_files import DRIFT, Golden, copy_bundle, write_bundle
from evertrain.bundles import load_bundle
from evertrain.canonical import canonical_json
from evertrain.columns import encode_inputs, input_names
from evertrain.drift import plan_drift
from evertrain.errors import BundleRefused
from evertrain.native import as_frame, dump_native
from evertrain.records import Feature, Signature
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
    """Bundles that were made before there was a plan still serve."""
    assert load_bundle(store, write_bundle(store, "native", files, "0.1.0")).drift is None


def test_a_plan_of_another_version_is_refused(files: dict[str, bytes], store: Store) -> None:
    """What this version can't read is told by name, not guessed."""
    digest = write_bundle(store, "native", {**files, DRIFT: b'{"curves": []}'}, "9.0.0")
    with pytest.raises(BundleRefused, match=r"drift\.json of bundle"):
        load_bundle(store, digest)
