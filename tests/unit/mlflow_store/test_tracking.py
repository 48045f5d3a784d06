"""Tests of the run's record in MLflow, against a real embedded database."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evertrain.errors import RegistryError
from evertrain.mlflow_client import artifact_location, mlflow_client
from evertrain.sources import FilesSource, SqlSource
from evertrain.tracking import _create_run, _experiment, log_page, log_run, run_url


def read_run(settings, run_id):
    with mlflow_client(settings, "read") as client:
        return client.get_run(run_id)


def files_of(settings, run_id) -> dict[str, bytes]:
    folder = Path(read_run(settings, run_id).info.artifact_uri.removeprefix("file://").replace("%20", " "))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def count_runs(settings, facts) -> int:
    with mlflow_client(settings, "count") as client:
        experiment = client.get_experiment_by_name(facts.config.name)
        return len(client.search_runs([experiment.experiment_id]))


def test_run_holds_values_tags_and_files(settings, facts):
    """Parameters, metrics with their intervals, the champion's, digests and files stand in the run."""
    run_id = log_run(settings, facts)
    run = read_run(settings, run_id)

    assert (run.info.status, run.info.run_name) == ("FINISHED", "flights 2013-04-01 00:00")
    assert run.data.params["estimator"] == "sklearn.linear_model.LogisticRegression"
    assert {key: run.data.params[f"params.{key}"] for key in ("C", "penalty", "class_weight")} == {
        "C": "1.0",
        "penalty": "l2",
        "class_weight": "null",
    }
    wanted = {
        "roc_auc": 0.7,
        "roc_auc_low": 0.6,
        "roc_auc_high": 0.8,
        "champion_roc_auc": 0.65,
        "train_rows": 79,
    }
    assert {key: run.data.metrics[key] for key in wanted} == wanted
    assert facts.tags.items() <= run.data.tags.items()
    files = files_of(settings, run_id)
    assert files["roc.png"] == facts.pictures["roc.png"]
    assert files["report.html"] == b"<p>report</p>"
    assert json.loads(files["gates.json"])[0]["verdict"] == "pass"


@pytest.mark.parametrize("description", ["", "Will this flight be late?"])
def test_a_run_s_page_describes_its_pipeline(settings, facts, description):
    """What the YAML says of the pipeline stands where MLflow's page has its description."""
    config = facts.config.model_copy(update={"description": description})

    run = read_run(settings, log_run(settings, dataclasses.replace(facts, config=config)))

    assert run.data.tags.get("mlflow.note.content", "") == description


def test_run_knows_the_data_it_came_from(settings, facts):
    """The snapshot is the run's dataset, with its source, query, window, columns and digest."""
    (data,) = read_run(settings, log_run(settings, facts)).inputs.dataset_inputs

    assert (data.dataset.name, data.dataset.digest) == ("flights", "5" * 36)
    assert json.loads(data.dataset.source) == {"type": "files", "uri": "data/*.parquet"}
    profile = json.loads(data.dataset.profile)
    assert profile["snapshot"] == "5" * 64
    assert {"query", "window", "as_of", "num_rows", "quarantined"} <= set(profile)
    assert {"name": "origin", "type": "string"} in json.loads(data.dataset.schema)["mlflow_colspec"]


def test_sql_source_bears_no_address(settings, facts):
    """Of a SQL source only the variable's name stands in the lineage."""
    source = SqlSource(type="sql", url_env="WAREHOUSE_URL", query="SELECT 1")
    data = facts.config.data.model_copy(update={"source": source})
    changed = dataclasses.replace(facts, config=facts.config.model_copy(update={"data": data}))

    (logged,) = read_run(settings, log_run(settings, changed)).inputs.dataset_inputs

    assert logged.dataset.source_type == "sql"
    assert "WAREHOUSE_URL" in logged.dataset.source


@pytest.mark.parametrize(("uri", "expected"), [("a/*.csv", "local"), ("s3://bucket/a/*.csv", "s3")])
def test_files_say_where_they_lie(settings, facts, uri, expected):
    """Files on S3 are told from those on this machine."""
    source = FilesSource(type="files", uri=uri)
    data = facts.config.data.model_copy(update={"source": source})
    changed = dataclasses.replace(facts, config=facts.config.model_copy(update={"data": data}))

    (logged,) = read_run(settings, log_run(settings, changed)).inputs.dataset_inputs

    assert logged.dataset.source_type == expected


def test_the_same_run_key_is_one_run(settings, facts, other):
    """Logged again, a run is the one that stands there; another key is another run."""
    first, again, another = log_run(settings, facts), log_run(settings, facts), log_run(settings, other)

    assert first == again != another
    assert count_runs(settings, facts) == 2


def test_a_run_left_by_a_killed_process_is_completed(settings, facts):
    """A run that was created, and no more, is the one that is finished."""
    with mlflow_client(settings, "begin") as client:
        experiment = _experiment(client, facts.config.name, artifact_location(settings))
        left = _create_run(client, experiment, facts).info.run_id
        client.log_param(left, "estimator", facts.trained.estimator)

    assert log_run(settings, facts) == left
    assert read_run(settings, left).info.status == "FINISHED"
    assert count_runs(settings, facts) == 1


def test_a_run_left_unfinished_takes_what_a_second_attempt_came_to(settings, facts):
    """As-of and bundle may differ between two attempts at one run key; the last one stands."""
    run_id = log_run(settings, facts)
    with mlflow_client(settings, "leave unfinished") as client:
        client.update_run(run_id, status="RUNNING")
    bundle = facts.bundle.model_copy(update={"digest": "9" * 64, "runtime": "onnx"})
    second = dataclasses.replace(facts, as_of=datetime(2014, 1, 1, tzinfo=UTC), bundle=bundle)

    assert log_run(settings, second) == run_id
    run = read_run(settings, run_id)
    assert run.info.status == "FINISHED"
    assert second.tags.items() <= run.data.tags.items()
    assert run.data.tags["evertrain.as_of"] == "2014-01-01T00:00:00+00:00"


def test_of_two_runs_that_raced_the_older_stays(settings, facts):
    """Who creates a second run for a key takes his own back."""
    with mlflow_client(settings, "race") as client:
        experiment = _experiment(client, facts.config.name, artifact_location(settings))
        first = _create_run(client, experiment, facts)
        second = _create_run(client, experiment, facts)

    assert first.info.run_id == second.info.run_id
    assert count_runs(settings, facts) == 1


def test_run_without_champion_or_time_is_logged(settings, facts):
    """A first run, without as-of, is a run like any other."""
    first = dataclasses.replace(
        facts, evaluation=facts.evaluation.model_copy(update={"champion": None}), as_of=None
    )
    run = read_run(settings, log_run(settings, first))

    assert "champion_roc_auc" not in run.data.metrics
    assert run.info.run_name == "flights aaaaaaaaaaaa"


def test_many_and_long_parameters_are_logged(settings, facts):
    """More parameters than MLflow takes at once, and longer ones than it keeps, are no obstacle."""
    parameters = {f"p{number}": "x" * 9000 for number in range(150)}
    trained = facts.trained.model_copy(update={"parameters": parameters})

    run = read_run(settings, log_run(settings, dataclasses.replace(facts, trained=trained)))

    assert len(run.data.params["params.p149"]) == 6000


def test_a_deleted_experiment_is_restored(settings, facts):
    """An experiment that someone deleted in MLflow's pages takes runs again."""
    log_run(settings, facts)
    with mlflow_client(settings, "delete") as client:
        client.delete_experiment(client.get_experiment_by_name("flights").experiment_id)

    log_run(settings, facts)

    with mlflow_client(settings, "look") as client:
        assert client.get_experiment_by_name("flights").lifecycle_stage == "active"


class LateClient:
    """A client to whom an experiment is hidden until another process's turns out to be there."""

    def __init__(self, client, code):
        self.client, self.code, self.looks = client, code, 0

    def get_experiment_by_name(self, name):
        self.looks += 1
        return None if self.looks == 1 else self.client.get_experiment_by_name(name)

    def create_experiment(self, name, artifact_location):
        from mlflow.exceptions import MlflowException

        raise MlflowException("no", error_code=self.code)


def test_an_experiment_that_another_process_made_meanwhile_is_used(settings, facts):
    """Who comes second to make an experiment takes the first one's; another refusal stays one."""
    log_run(settings, facts)
    with mlflow_client(settings, "race") as client:
        wanted = client.get_experiment_by_name("flights").experiment_id
        assert _experiment(LateClient(client, 3001), "flights", None) == wanted
    with pytest.raises(RegistryError, match="Can't race"), mlflow_client(settings, "race") as client:
        _experiment(LateClient(client, 7), "flights", None)


def test_a_page_can_be_added_and_replaced(settings, facts):
    """A page written after the run was finished stands among its files, the last one wins."""
    run_id = log_run(settings, facts)
    for text in ("<p>first</p>", "<p>last</p>"):
        log_page(settings, run_id, "late.html", text)

    assert files_of(settings, run_id)["late.html"] == b"<p>last</p>"


def test_embedded_runs_have_no_page(settings, facts):
    """Where no server runs there is no address to show."""
    assert run_url(settings, log_run(settings, facts)) is None


def test_unusable_artifact_folder_is_a_registry_error(settings, facts):
    """What the disk refuses is told with MLflow's address and what to do."""
    (settings.home / "mlartifacts").write_text("a file where a folder belongs")

    with pytest.raises(
        RegistryError, match="Can't log the run of pipeline 'flights' in MLflow at sqlite"
    ) as caught:
        log_run(settings, facts)
    assert "EVERTRAIN_HOME" in caught.value.message
