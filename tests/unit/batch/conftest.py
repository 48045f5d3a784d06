"""Owns what the tests of batches share: a made-up model and ways to score with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evertrain import batch
from evertrain.batch import BatchReport, score_batch
from evertrain.bundle_files import Golden
from evertrain.bundles import Bundle
from evertrain.config import PipelineConfig
from evertrain.predictions import Prediction
from evertrain.records import Feature, Signature

SIGNATURE = Signature(
    task="binary_classification",
    target="late",
    features=(
        Feature(name="distance", kind="numeric", type="float"),
        Feature(name="carrier", kind="categorical", type="string"),
        Feature(name="night", kind="numeric", type="boolean"),
    ),
    ignored=("weight",),
    entity=("flight",),
    timestamp="at",
    classes=(False, True),
    has_probabilities=True,
)


def far_is_late(inputs: Mapping[str, np.ndarray]) -> Prediction:
    """A made-up model whose answer tells its whole row: it depends on each input."""
    far = np.nan_to_num(inputs["in_000"], nan=-1.0)
    letters = np.array([len(text) for text in inputs["in_001"]], dtype=np.float64)
    late = 1 / (2 + np.abs(far) + letters / 16 + np.nan_to_num(inputs["in_002"], nan=0.5) / 64)
    return Prediction(codes=(late > 0.01).astype(np.int64), probabilities=np.column_stack([1 - late, late]))


def fake_bundle(run: Callable[[Mapping[str, np.ndarray]], Prediction] = far_is_late, **more: Any) -> Bundle:
    """A bundle around a Python function."""
    return Bundle(
        digest="d" * 64,
        runtime="onnx",
        signature=SIGNATURE,
        golden=Golden(columns={}, tolerance=0.0),
        statistics={"carrier": {"categories": ["AA", "UA"]}},
        provenance={},
        size_bytes=0,
        run=run,
        **more,
    )


def write_rows(path: Path, rows: int, **changes: Any) -> pa.Table:
    """Write *rows* made-up rows as Parquet; gives them."""
    rng = np.random.default_rng(rows)
    distance = rng.integers(0, 300, rows).astype(float)
    distance[::11] = np.nan
    columns = {
        "flight": pa.array(rng.integers(1, 99, rows)),
        "distance": pa.array(distance, from_pandas=True),
        "carrier": pa.array([("AA", "UA", "ZZ", None)[code] for code in rng.integers(0, 4, rows)]),
        "night": pa.array(rng.random(rows) < 0.5),
        "at": pa.array(np.datetime64("2013-01-01T00:00", "us") + np.arange(rows) * 1_000_000),
        "stranger": pa.array(np.arange(rows)),
        **changes,
    }
    table = pa.table(columns)
    pq.write_table(table, path, row_group_size=1_000)
    return table


@pytest.fixture
def config() -> PipelineConfig:
    """A pipeline of that signature."""
    return PipelineConfig.model_validate(
        {
            "name": "flights",
            "data": {
                "source": {"type": "files", "uri": "none.csv"},
                "target": "late",
                "query": "SELECT * FROM source",
            },
            "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
            "evaluation": {"task": "binary_classification"},
        }
    )


@pytest.fixture
def make_rows() -> Callable[..., pa.Table]:
    return write_rows


@pytest.fixture
def make_bundle() -> Callable[..., Bundle]:
    return fake_bundle


@pytest.fixture
def score(
    config: PipelineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., BatchReport]:
    """Score a file with the made-up model, in chunks of a thousand rows."""
    monkeypatch.setattr(batch, "CHUNK_ROWS", 1_000)
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))

    def _score(source: Any, target: Any, *, bundle: Bundle | None = None, **more: Any) -> BatchReport:
        options = {"version": 7, **more}
        version = options.pop("version")
        return score_batch(
            config,
            bundle or fake_bundle(),
            version,
            source=str(source),
            target=str(target),
            home=tmp_path / "home",
            **options,
        )

    return _score
