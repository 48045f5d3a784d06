"""The service with models that evertrain has trained and packaged, in both runtimes."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from evertrain.config import PipelineConfig
from evertrain.datasets import ingest
from evertrain.packaging import package
from evertrain.settings import read_settings
from evertrain.training import train
from serving.watcher import Watcher

NOW = datetime(2024, 1, 1, tzinfo=UTC)
ONNX = "sklearn.linear_model.LogisticRegression"
NATIVE = "sklearn.neighbors.KNeighborsClassifier"


@pytest.fixture
def trained(store, tmp_path):
    """Trains an estimator on a small table with odd names, strings, gaps and classes Yes and No."""
    draw = random.Random(0)
    lines = ["Größe,sky colour,wet?,late"]
    for _ in range(400):
        size, sky, wet = (
            draw.randint(0, 100),
            draw.choice(["blue", "grey", ""]),
            draw.choice(["true", "false"]),
        )
        late = "Yes" if size + 20 * (sky == "grey") + draw.gauss(0, 5) > 60 else "No"
        lines.append(f"{size if size % 7 else ''},{sky},{wet},{late}")
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")

    def make(estimator):
        config = PipelineConfig.model_validate(
            {
                "name": "flights",
                "data": {"source": {"type": "files", "uri": str(tmp_path / "table.csv")}, "target": "late"},
                "training": {"estimator": estimator},
                "evaluation": {"task": "binary_classification"},
            }
        )
        ingested = ingest(config, store, as_of=None, now=NOW)
        model = train(config, ingested, store, read_settings({"EVERTRAIN_STORE": store.where}))
        return package(config, ingested, model, store, {"run_key": "r"})

    return make


@pytest.mark.parametrize(("estimator", "runtime"), [(ONNX, "onnx"), (NATIVE, "native")])
def test_a_trained_model_is_served(store, trained, promote, asker, estimator, runtime):
    """From a table to answers by HTTP: labels as the table spells them, gaps and new categories answered."""
    promote(store, "flights", 1, trained(estimator).digest)
    service = asker()
    Watcher(store, service.fleet).look()

    rows = [[99, "grey", True], [3, "blue", False], [None, None, None], [50.5, "violet", 1]]
    answer = service.post({"instances": rows})

    assert (answer.status_code, answer.json()["predictions"][:2]) == (200, ["Yes", "No"])
    assert set(answer.json()["predictions"]) <= {"Yes", "No"}
    assert service.get("/models/flights").json()["runtime"] == runtime
    assert [len(each) for each in answer.json()["probabilities"]] == [2] * len(rows)
    refused = service.post({"instances": [["big", "grey", True]]})
    assert (refused.status_code, refused.json()["field"]) == (422, "Größe")
