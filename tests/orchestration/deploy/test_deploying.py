"""Deploying to a real Prefect server: what is registered, what stays, what goes, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from httpx import Client, HTTPStatusError

from evertrain.errors import ConfigError, ServiceError
from evertrain.settings import Settings, read_settings
from flows.deploying import Deployed, deploy_pipelines, installation_tag
from tests.orchestration.deploy.conftest import names, read, write

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("deploy")]

Run = Callable[..., int]


def changes(deployed: Deployed) -> dict[str, str]:
    return {f"{item.flow}/{item.pipeline}": item.change for item in deployed.flows}


SCHEDULED = """
    schedule: {train: "0 3 * * 1", timezone: Europe/Berlin}
    drift: {schedule: "*/30 * * * *", retrain_on: [data]}
"""


def test_a_pipeline_becomes_a_training_and_a_drift_check(settings: Settings, api: Client) -> None:
    """With its schedules in its own time zone, its description, its version, one run at a time in line."""
    write("loans", SCHEDULED)

    deployed = deploy_pipelines(["configs"], settings)

    assert changes(deployed) == {"training/loans": "created", "drift_check/loans": "created"}
    training, check = read(api, "training/loans"), read(api, "drift_check/loans")
    assert training["entrypoint"] == "flows.training.training_flow"
    assert check["entrypoint"] == "flows.drift_check.drift_check_flow"
    assert set(training["tags"]) == {"evertrain", "loans", installation_tag(settings)}
    [schedule] = training["schedules"]
    assert schedule["schedule"] == {"cron": "0 3 * * 1", "timezone": "Europe/Berlin", "day_or": True}
    assert schedule["parameters"] == {"trigger": "schedule"}
    assert [item["schedule"]["cron"] for item in check["schedules"]] == ["*/30 * * * *"]
    assert training["global_concurrency_limit"]["limit"] == 1
    assert training["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    for words in (
        "Will a loan default?",
        "risk@example.org",
        "beats_champion",
        "`0 3 * * 1` (Europe/Berlin)",
    ):
        assert words in training["description"]
    assert "data" in check["description"]
    assert all(item.next_run is not None and item.next_run.tzinfo for item in deployed.flows)


def test_a_pipeline_with_a_batch_has_a_third_flow(settings: Settings, api: Client) -> None:
    """Its scoring is deployed with the batch's schedule, and un-deployed when the batch leaves the YAML."""
    write("loans", 'batch: {schedule: "0 5 * * *", input: "new/*.csv", output: "scored/{date}.csv"}\n')

    deployed = deploy_pipelines(["configs"], settings)

    assert [item.flow for item in deployed.flows] == ["training", "drift_check", "batch_scoring"]
    scoring = read(api, "batch_scoring/loans")
    assert scoring["entrypoint"] == "flows.batch_scoring.batch_scoring_flow"
    assert scoring["parameters"] == {"config": "configs/loans.yaml"}
    assert [item["schedule"]["cron"] for item in scoring["schedules"]] == ["0 5 * * *"]
    assert "scored/{date}.csv" in scoring["description"]
    form = scoring["parameter_openapi_schema"]["properties"]
    assert {"source", "target", "version"} <= set(form)

    write("loans")
    assert deploy_pipelines(["configs"], settings).removed == ("batch_scoring/loans",)


def test_a_run_can_be_asked_for_by_a_form(settings: Settings, api: Client) -> None:
    """The pipeline is fixed, a moment is a date picker, a wrong type is refused at the door."""
    write("loans")
    deploy_pipelines(["configs"], settings)
    training = read(api, "training/loans")
    form = training["parameter_openapi_schema"]["properties"]
    ask = f"/deployments/{training['id']}/create_flow_run"

    assert list(form) == ["config", "as_of", "trigger", "overrides"]
    assert (form["config"]["enum"], form["config"]["readOnly"]) == (["configs/loans.yaml"], True)
    assert (form["as_of"]["type"], form["as_of"]["format"]) == ("string", "date-time")
    assert form["trigger"]["enum"] == ["manual", "ci", "schedule", "drift"]
    assert all("``" not in field["description"] for field in form.values())
    good = {"as_of": "2013-07-01T00:00:00Z", "overrides": ["training.seed=1"]}
    asked = api.post(ask, json={"parameters": good, "state": {"type": "SCHEDULED"}}).raise_for_status().json()
    assert asked["parameters"] == {"config": "configs/loans.yaml", **good}
    for wrong in ({"overrides": "x"}, {"trigger": "me"}, {"config": "configs/other.yaml"}):
        with pytest.raises(HTTPStatusError):
            api.post(ask, json={"parameters": wrong}).raise_for_status()


def test_a_second_deploy_changes_nothing(settings: Settings, api: Client) -> None:
    """What is so already isn't written: no scheduled run is made anew."""
    write("loans", SCHEDULED)
    deploy_pipelines(["configs"], settings)
    before = read(api, "training/loans")

    again = deploy_pipelines(["configs"], settings)

    assert set(changes(again).values()) == {"unchanged"}
    after = read(api, "training/loans")
    assert (after["updated"], after["schedules"]) == (before["updated"], before["schedules"])


def test_what_was_paused_by_hand_stays_paused(settings: Settings, api: Client) -> None:
    """A deployment and a schedule, also where the YAML has changed; one that was added by hand stays."""
    path = write("loans", SCHEDULED)
    deploy_pipelines(["configs"], settings)
    training, check = read(api, "training/loans"), read(api, "drift_check/loans")
    api.post(f"/deployments/{training['id']}/pause_deployment").raise_for_status()
    own = f"/deployments/{check['id']}/schedules"
    api.patch(f"{own}/{check['schedules'][0]['id']}", json={"active": False}).raise_for_status()
    api.post(own, json=[{"schedule": {"cron": "5 5 * * *"}, "active": True}]).raise_for_status()
    path.write_text(path.read_text().replace("*/30", "*/20").replace("0 3 * * 1", "0 4 * * 1"))

    deployed = deploy_pipelines(["configs"], settings)

    assert set(changes(deployed).values()) == {"updated"}
    assert all(item.paused and item.next_run is None for item in deployed.flows)
    assert read(api, "training/loans")["paused"]
    crons = {item["schedule"]["cron"]: item["active"] for item in read(api, "drift_check/loans")["schedules"]}
    assert crons == {"*/20 * * * *": False, "5 5 * * *": True}


def test_a_schedule_that_left_the_yaml_is_gone(settings: Settings, api: Client) -> None:
    """And its future runs with it."""
    write("loans", SCHEDULED)
    deploy_pipelines(["configs"], settings)
    write("loans")

    deployed = deploy_pipelines(["configs"], settings)

    assert [item.schedule for item in deployed.flows] == [None, None]
    assert read(api, "training/loans")["schedules"] == []
    assert read(api, "drift_check/loans")["schedules"] == []


def test_a_yaml_that_is_gone_is_un_deployed_with_its_folder_only(
    settings: Settings, api: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a deploy of single files, nor by one from another folder or of another installation."""
    write("loans")
    gone = write("gone")
    deploy_pipelines(["configs"], settings)
    gone.unlink()

    assert deploy_pipelines(["configs/loans.yaml"], settings).removed == ()
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "configs").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    write("others")
    assert deploy_pipelines(["configs"], settings).removed == ()
    other = read_settings({**os.environ, "EVERTRAIN_STORE": str(tmp_path / "other-store")})
    write("strangers")
    (elsewhere / "configs" / "others.yaml").unlink()
    assert deploy_pipelines(["configs/strangers.yaml"], other).removed == ()
    monkeypatch.chdir(tmp_path)
    assert deploy_pipelines(["configs"], settings).removed == ("drift_check/gone", "training/gone")
    assert names(api) == {"loans", "others", "strangers"}


def test_a_name_that_another_installation_has_is_refused(
    settings: Settings, api: Client, tmp_path: Path
) -> None:
    """Two stores on one server don't overwrite each other's pipelines."""
    write("loans")
    deploy_pipelines(["configs"], settings)
    before = read(api, "training/loans")
    other = read_settings({**os.environ, "EVERTRAIN_STORE": str(tmp_path / "other-store")})
    write("fresh")

    with pytest.raises(ServiceError, match="drift_check/loans, training/loans already"):
        deploy_pipelines(["configs"], other)

    assert read(api, "training/loans") == before
    assert names(api) == {"loans"}


def test_wrong_yamls_are_refused_before_anything_is_registered(
    settings: Settings, api: Client, evertrain: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """All faults of all files in one go, exit 2; two files that bear one name are a fault."""
    write("loans")
    write("loans", file="again")
    write("moon", 'schedule: {train: "0 0 30 2 *", timezone: Moon/Crater}\n')

    assert evertrain("deploy") == 2

    said = capsys.readouterr().err
    for words in ("configs/loans.yaml: 1 fault", "again.yaml bears it", "schedule.train", "Moon/Crater"):
        assert words in said
    assert names(api) == set()


def test_a_wrong_yaml_can_be_left_out_and_keeps_what_it_had(settings: Settings, api: Client) -> None:
    """As `up` does: one file that is being written doesn't stop the others, and isn't taken for gone."""
    write("loans")
    broken = write("broken")
    deploy_pipelines(["configs"], settings)
    broken.write_text("name: [")

    deployed = deploy_pipelines(["configs"], settings, skip_wrong=True)

    assert [item.file for item in deployed.refused] == ["configs/broken.yaml"]
    assert deployed.removed == ()
    assert names(api) == {"loans", "broken"}


def test_a_pool_s_workers_get_what_the_installation_is(
    settings: Settings, api: Client, evertrain: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its settings, the image, and each pipeline its own delay; back to the runner they leave the pool."""
    write("loans", SCHEDULED)
    for name, kind in (("boxes", "docker"), ("here", "process")):
        api.post("/work_pools/", json={"name": name, "type": kind}).raise_for_status()

    assert evertrain("deploy", "--pool", "nowhere") == 2
    assert "there are: boxes, here" in capsys.readouterr().err
    assert evertrain("deploy", "--pool", "boxes") == 2
    assert "--image" in capsys.readouterr().err
    assert evertrain("deploy", "--pool", "boxes", "--image", "mine:1") == 0
    assert "no container sees the store" in capsys.readouterr().out
    boxed = read(api, "training/loans")
    assert (boxed["work_pool_name"], boxed["job_variables"]["image"]) == ("boxes", "mine:1")
    assert "EVERTRAIN_HOME" not in boxed["job_variables"]["env"]
    assert boxed["pull_steps"] == []
    [schedule] = boxed["schedules"]
    assert 0 <= schedule["parameters"]["delay_seconds"] < 60
    assert evertrain("deploy", "--pool", "here") == 0
    assert read(api, "training/loans")["job_variables"]["env"]["EVERTRAIN_STORE"] == settings.store
    assert evertrain("deploy") == 0
    assert read(api, "training/loans")["work_pool_name"] is None
    assert "prefect worker start --pool here" in capsys.readouterr().out


def test_a_server_that_does_not_answer_is_exit_5(
    settings: Settings, evertrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that names it, without a traceback."""
    write("loans")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    assert evertrain("deploy") == 5

    said = capsys.readouterr().err
    assert "http://127.0.0.1:9/api" in said
    assert "Traceback" not in said


def test_a_pipeline_is_registered_whole_or_not_at_all(
    settings: Settings, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the second of its deployments is refused, the first is taken back; other pipelines stand."""
    from flows import registering

    write("loans")
    write("fine")
    honest = registering._write

    async def refusing(client: Any, plan: Any, before: Any, flow_id: Any) -> Any:
        if plan.full_name == "drift_check/loans":
            raise ServiceError("refused")
        return await honest(client, plan, before, flow_id)

    monkeypatch.setattr(registering, "_write", refusing)
    with pytest.raises(ServiceError, match="refused"):
        deploy_pipelines(["configs"], settings)

    assert names(api) == {"fine"}


def test_a_missing_folder_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is un-deployed from a place where there is nothing."""
    monkeypatch.chdir(tmp_path / "configs")

    with pytest.raises(ConfigError, match="no folder 'configs'"):
        deploy_pipelines(["configs"], settings)
