"""Tests of a search's trials in MLflow: runs nested in the training run, each written down once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from evertrain.mlflow_client import mlflow_client
from evertrain.records import Search, Trial
from evertrain.tracking import log_run

TRIALS = (
    Trial(number=0, params={"C": 1.0}, scores=(0.6, 0.7), value=0.65, state="complete", seconds=0.5),
    Trial(number=1, params={"C": 3.5}, scores=(0.7, 0.8), value=0.75, state="complete", seconds=0.4),
    Trial(number=2, params={"C": None}, scores=(0.5,), state="pruned", seconds=0.2),
    Trial(number=3, params={"C": -1.0}, state="failed", seconds=0.1, reason="C must be positive"),
)


@pytest.fixture
def searched(facts):
    """The run of a pipeline with a search."""
    search = Search(metric="roc_auc", trials=TRIALS, best=1, planned=4)
    return dataclasses.replace(facts, trained=facts.trained.model_copy(update={"search": search}))


def nested_runs(settings, run_id):
    with mlflow_client(settings, "look") as client:
        experiment = client.get_run(run_id).info.experiment_id
        found = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted(found, key=lambda run: int(run.data.tags["evertrain.trial"]))


def test_each_trial_is_a_nested_run(settings, searched):
    """Parameters, scores by fold, their mean and what became of it stand in the trial's own run."""
    run_id = log_run(settings, searched)
    first, best, pruned, failed = nested_runs(settings, run_id)

    assert first.info.run_name == "trial 0"
    assert best.data.params == {"params.C": "3.5"}
    assert best.data.metrics == {"seconds": 0.4, "search_roc_auc": 0.75, "fold_roc_auc": 0.8}
    assert [run.data.tags["evertrain.trial_state"] for run in (first, pruned, failed)] == [
        "complete",
        "pruned",
        "failed",
    ]
    assert [run.data.tags["evertrain.best_trial"] for run in (first, best)] == ["false", "true"]
    assert "search_roc_auc" not in pruned.data.metrics
    assert failed.data.params["reason"] == "C must be positive"
    assert [run.info.status for run in (first, pruned, failed)] == ["FINISHED", "FINISHED", "FAILED"]
    with mlflow_client(settings, "look") as client:
        folds = client.get_metric_history(best.info.run_id, "fold_roc_auc")
        parent = client.get_run(run_id)
    assert [(fold.step, fold.value) for fold in folds] == [(0, 0.7), (1, 0.8)]
    assert parent.data.metrics["search_trials"] == 4
    assert parent.data.metrics["search_roc_auc"] == 0.75


def test_trials_are_written_down_once(settings, searched):
    """What a killed process had begun is completed, what it had finished stays as it is."""
    run_id = log_run(settings, searched)
    before = nested_runs(settings, run_id)
    with mlflow_client(settings, "leave unfinished") as client:
        client.update_run(run_id, status="RUNNING")
        client.update_run(before[1].info.run_id, status="RUNNING")
        client.delete_run(before[2].info.run_id)

    assert log_run(settings, searched) == run_id
    after = nested_runs(settings, run_id)
    assert [run.info.run_id for run in after][:2] == [run.info.run_id for run in before][:2]
    assert [run.data.tags["evertrain.trial"] for run in after] == ["0", "1", "2", "3"]
    assert [run.info.status for run in after] == ["FINISHED", "FINISHED", "FINISHED", "FAILED"]


def test_warnings_stand_among_the_tags(settings, facts):
    """What may be wrong with the rows is seen with the run; without warnings there is no such tag."""
    trained = facts.trained.model_copy(update={"warnings": ("column 'a' tells the target", "b" * 6000)})
    warned = dataclasses.replace(facts, trained=trained)

    with mlflow_client(settings, "look") as client:
        assert "evertrain.warnings" not in facts.tags
    run_id = log_run(settings, warned)
    with mlflow_client(settings, "look") as client:
        text = client.get_run(run_id).data.tags["evertrain.warnings"]
    assert text.startswith("column 'a' tells the target · bbb")
    assert len(text) == 5000


def test_the_history_is_a_file_of_the_run(settings, searched):
    """The picture of the search lies among the run's files like any other."""
    run_id = log_run(settings, dataclasses.replace(searched, pictures={"search.png": b"png"}))
    with mlflow_client(settings, "look") as client:
        folder = client.get_run(run_id).info.artifact_uri.removeprefix("file://").replace("%20", " ")
    assert Path(folder, "search.png").read_bytes() == b"png"
