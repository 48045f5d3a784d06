from __future__ import annotations

from pathlib import Path

import pytest

from evertrain.bundles import check_golden, load_bundle
from evertrain.settings import read_settings
from evertrain.storage import open_store
from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]

ROOT = Path(__file__).parents[2]


def test_the_regression_example_trains_and_answers(
    training: TrainingFlow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weather of 2013: packed in ONNX, better than guessing the mean, and a row with gaps is answered."""
    monkeypatch.chdir(ROOT)

    outcome = training("configs/weather.yaml")

    assert outcome.decision == "promoted"
    bundle = load_bundle(open_store(read_settings().store), outcome.bundle.digest)
    check_golden(bundle)
    row = {feature.name: [None] for feature in bundle.signature.features}
    (answer,) = bundle.predict(row).labels(bundle.signature)
    assert -30 < answer < 110
    assert outcome.metrics["r2"] > 0.8
