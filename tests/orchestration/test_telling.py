"""Tests of what is news, of whom a rollback is told to, and of events that no server takes."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from evertrain.config.files import load_config
from evertrain.drift_records import CheckedRows, DriftOutcome, PastCheck
from evertrain.pipelines import Pipeline, open_pipeline
from evertrain.release.retraining import decide_checked
from evertrain.settings import Settings, read_settings
from evertrain.summaries.notices import Subject, tell_rollback
from flows.events import post_event, spell_login
from flows.notices import notify_rollback
from flows.telling import find_run_url, is_news

PIPELINE = """\
name: loans
data: {source: {type: files, uri: loans.csv}, target: default}
training: {estimator: sklearn.linear_model.LogisticRegression}
evaluation: {task: binary_classification}
notify: [{type: webhook, url_env: NOT_SET}]
"""
DATA, REGRET, NOTHING = ("data",), ("regret",), ()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("EVERTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return read_settings()


@pytest.fixture
def pipeline(settings: Settings, tmp_path: Path) -> Pipeline:
    path = tmp_path / "loans.yaml"
    path.write_text(PIPELINE)
    return open_pipeline(load_config(path, settings), settings)


def outcome(decision: str, retrain: str) -> DriftOutcome:
    return DriftOutcome.model_validate(
        {
            "pipeline": "loans",
            "decision": decision,
            "retrain": retrain,
            "why": "so",
            "champion": 1,
            "as_of": datetime(2024, 1, 1, tzinfo=UTC),
            "max_share": 0.3,
            "rows": CheckedRows(reference=1, current=1),
        }
    )


def remember(pipeline: Pipeline, *checks: tuple[int, tuple[str, ...]]) -> None:
    for generation, triggers in checks:
        past = PastCheck(as_of="2024-01-01", generation=generation, triggers=triggers)
        decision = "drifted" if triggers else "steady"
        pipeline.journal.append(decide_checked(decision, past, {}, lambda _: ("none", "so", False)))


@pytest.mark.parametrize(
    ("decision", "retrain", "news"),
    [
        ("steady", "none", False),
        ("too_little_data", "none", False),
        ("drifted", "started", True),
        ("drifted", "failed", True),
        ("drifted", "unconfirmed", False),
        ("drifted", "cooldown", False),
        ("drifted", "already_running", False),
    ],
)
def test_a_retrain_is_news_and_waiting_is_not(
    decision: str, retrain: str, news: bool, pipeline: Pipeline
) -> None:
    """What came of drift is told; that it is steady, or waits, an hourly check would tell for ever."""
    assert is_news(outcome(decision, retrain), pipeline) is news


@pytest.mark.parametrize(
    ("checks", "news"),
    [
        ([(1, DATA)], True),
        ([(1, NOTHING), (1, DATA)], True),
        ([(1, DATA), (1, DATA)], False),
        ([(1, DATA), (1, REGRET)], True),
        ([(1, DATA), (2, DATA)], True),
        ([(1, DATA), (1, NOTHING), (1, DATA)], True),
    ],
)
def test_drift_that_may_not_be_acted_on_is_news_once(
    checks: list[tuple[int, tuple[str, ...]]], news: bool, pipeline: Pipeline
) -> None:
    """Under ``--no-retrain``: until what drifted, or the champion, changes."""
    remember(pipeline, *checks)

    assert is_news(outcome("drifted", "none"), pipeline) is news


def test_an_event_without_a_server_is_none(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Where no server is known, or none listens, nothing is raised and nothing is warned of."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    notice = tell_rollback(1, 2, "so", Subject("loans", "configs/loans.yaml"))

    post_event(notice, settings)
    post_event(notice, replace(settings, prefect_api_url=f"http://127.0.0.1:{port}/api"))
    post_event(notice, replace(settings, prefect_api_url="no address"))

    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_a_rollback_is_told_to_whom_its_own_yaml_names(
    settings: Settings, pipeline: Pipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No YAML of that name, or another pipeline's: nobody; one that can't be read is warned of."""

    def roll_back() -> list[str]:
        caplog.clear()
        notify_rollback("loans", to=1, was=2, reason="", settings=settings)
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    named = tmp_path / "configs" / "loans.yaml"
    named.parent.mkdir()

    assert roll_back() == []
    named.write_text(PIPELINE.replace("name: loans", "name: another"))
    assert roll_back() == []
    named.write_text(PIPELINE)
    assert [text.partition(":")[0] for text in roll_back()] == [
        "No notice of it went out by webhook to the address in NOT_SET"
    ]
    named.write_text("name: [")
    (warning,) = roll_back()
    assert warning.startswith("Nobody was told: configs/loans.yaml can't be read: ")


@pytest.mark.parametrize(
    ("environment", "login"),
    [
        ({}, {}),
        ({"PREFECT_API_KEY": "key"}, {"Authorization": "Bearer key"}),
        ({"PREFECT_API_AUTH_STRING": "a:b"}, {"Authorization": "Basic YTpi"}),
    ],
)
def test_a_login_is_spelt_as_prefects_own_client_does(
    environment: dict[str, str], login: dict[str, str]
) -> None:
    """A key is a bearer's, a pair is basic."""
    assert spell_login(environment) == login


@pytest.mark.parametrize(
    ("api", "ci", "page"),
    [
        ("http://127.0.0.1:4200/api", "", "http://127.0.0.1:4200/runs/flow-run/"),
        ("http://127.0.0.1:4200/api", "true", None),
        ("https://prefect.example.org/api", "true", "https://prefect.example.org/runs/flow-run/"),
    ],
)
def test_a_page_that_will_be_gone_is_not_linked(
    api: str, ci: str, page: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's page is linked, but for one of the server that ends with a CI job's command."""
    monkeypatch.setenv("CI", ci)
    run = FlowRun(flow_id=uuid4())

    with temporary_settings({PREFECT_API_URL: api}):
        assert find_run_url(run) == (page and f"{page}{run.id}")
