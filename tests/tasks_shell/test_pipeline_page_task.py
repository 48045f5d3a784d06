"""The page that each train and check writes: where it lies, what Prefect shows, and that it fails no run."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from evertrain.config import PipelineConfig
from evertrain.pipelines import Pipeline, open_pipeline
from evertrain.records import BundleSummary, SnapshotSummary, TrainOutcome
from evertrain.release import decide_promoted, decide_registered
from evertrain.runs import StepRecords
from evertrain.settings import read_settings
from tasks import artifacts
from tasks.pipeline_page import pipeline_page_task
from tests.tasks_shell.test_artifacts import Server, prefect_at, served

PAGE = "reports/home_loans/index.html"
CONFIG = {
    "name": "home_loans",
    "data": {"source": {"type": "files", "uri": "x.csv"}, "target": "y"},
    "training": {"estimator": "a.B"},
    "evaluation": {"task": "binary_classification"},
}


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A pipeline with a champion in its journal."""
    settings = read_settings({"EVERTRAIN_HOME": str(tmp_path)})
    made = open_pipeline(PipelineConfig.model_validate(CONFIG), settings)
    facts = {name: name for name in ("run_id", "bundle", "snapshot", "config", "code")}
    made.journal.append(decide_registered(version=1, run_key="key", **facts))
    made.journal.append(decide_promoted(version=1, reason="all gates passed (manual)"))
    return made


def outcome(rows: int) -> TrainOutcome:
    return TrainOutcome(
        pipeline="home_loans",
        decision="promoted",
        version=1,
        run_id="r",
        run_key="key",
        metrics={"roc_auc": 0.75},
        snapshot=SnapshotSummary(digest="s", rows=rows, unlabelled=0, quarantined=0),
        bundle=BundleSummary(digest="b", runtime="onnx"),
    )


def read_page(pipeline: Pipeline) -> str:
    return (pipeline.store.get(PAGE) or b"").decode()


def test_the_page_is_in_the_store_and_linked_in_prefect(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """It tells the run that isn't over yet, too; Prefect gets a summary with a link to the service."""
    server, seconds = Server(), {}

    with served(server), prefect_at(server):
        pipeline_page_task.fn(pipeline, seconds, "http://127.0.0.1:8080", outcome(12_345))

    (taken,) = server.taken
    assert "Version 1 is the champion" in read_page(pipeline)
    assert "12,345" in read_page(pipeline)
    assert (taken["key"], taken["type"]) == ("home-loans-pipeline-page", "markdown")
    assert "[The whole page](http://127.0.0.1:8080/reports/home_loans/)" in taken["data"]
    assert set(seconds) == {"page"}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_a_run_came_to_is_recalled(pipeline: Pipeline) -> None:
    """A check's page has the figures of the versions that earlier runs made."""
    StepRecords(pipeline.store, "key").write("outcome", outcome(23_456))
    server = Server()

    with served(server), prefect_at(server):
        pipeline_page_task.fn(pipeline, {}, None)

    assert "23,456" in read_page(pipeline)


@pytest.mark.parametrize("fault", ["store", "journal", "prefect"])
def test_nothing_that_goes_wrong_fails_the_run(
    pipeline: Pipeline, fault: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that can't be written, a journal that was changed, a Prefect that is gone: all are warnings."""
    folder, server = Path(pipeline.store.where), Server()
    if fault == "store":
        (folder / "reports").write_text("no folder")
    if fault == "journal":
        (folder / "journal/home_loans/000000000001.json").unlink()
    if fault == "prefect":
        server.server_close()
        monkeypatch.setattr(artifacts, "PATIENCE_SECONDS", 0.1)
        with temporary_settings({PREFECT_API_URL: server.api, PREFECT_CLIENT_MAX_RETRIES: 0}):
            pipeline_page_task.fn(pipeline, {}, None)
    else:
        with served(server), prefect_at(server):
            pipeline_page_task.fn(pipeline, {}, None)

    (warned,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    what = "Prefect's look at the page" if fault == "prefect" else "The page"
    assert warned.getMessage().startswith(f"{what} of home_loans was not written: ")
    assert warned.getMessage().endswith(". The run goes on; the next train or check tries again.")
    assert ("Version 1 is the champion" in read_page(pipeline)) == (fault == "prefect")
