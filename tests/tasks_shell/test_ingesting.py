"""The task ``ingest`` without Prefect: what it says of the rows that it leaves out."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from evertrain.config import PipelineConfig
from evertrain.pipelines import open_pipeline
from evertrain.settings import read_settings
from tasks.ingest import ingest_task


def test_rows_that_are_left_out_are_told_in_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those without a time and those without a label are no secret between `check` and the report."""
    times = ["" if day < 3 else f"2024-01-{day % 28 + 1:02d}" for day in range(200)]
    labels = ["" if number > 195 else ("yes", "no")[number % 2] for number in range(200)]
    lines = [
        f"{time},{number},{label}" for number, (time, label) in enumerate(zip(times, labels, strict=True))
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["at,x,y", *lines]) + "\n")
    source = {"type": "files", "uri": str(tmp_path / "rows.csv")}
    raw = {
        "name": "rows",
        "data": {"source": source, "target": "y", "timestamp": "at"},
        "training": {"estimator": "sklearn.linear_model.LogisticRegression"},
        "evaluation": {"task": "binary_classification"},
    }
    settings = read_settings({**os.environ, "EVERTRAIN_HOME": str(tmp_path / "home")})
    pipeline = open_pipeline(PipelineConfig.model_validate(raw), settings)

    with caplog.at_level(logging.INFO, "evertrain.steps"):
        ingested = ingest_task.fn(pipeline, None, {})

    assert ingested.snapshot.unlabelled == 4
    assert "3 rows without 'at' were set aside" in caplog.messages
    assert any("held out, 4 unlabelled" in message for message in caplog.messages)
