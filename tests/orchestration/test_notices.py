"""Tests of who hears of decisions: events in Prefect's feed, notices at a webhook, by flows run once."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, exception_to_crashed_state

from evertrain.errors import DataRefused, EvertrainError
from evertrain.settings import read_settings
from flows.launch import TrainingFlow

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("prefect")]
SECRET = "pl4nted5ecret"
FEED_SECONDS = 60
PIPELINE = """\
name: NAME
owner: ann@example.org
data:
  source: {type: files, uri: loans.csv}
  timestamp: day
  target: default
  features: {numeric: [income]}
  window: {train: 20d, holdout: 10d}
training: {estimator: sklearn.linear_model.LogisticRegression}
evaluation: {task: binary_classification}
drift:
  current: {from: source, window: 5d, min_rows: 50}
  max_share: 0.3
  cooldown: 1d
notify: [{type: webhook, url_env: TEAM_WEBHOOK}, {type: slack, url_env: NOT_SET}]
"""


class Sink(ThreadingHTTPServer):
    """A real HTTP server that keeps the JSON it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.got: list[dict[str, Any]] = []


class Take(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    server = Sink()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, training: TrainingFlow, empty_registry: Path, sink: Sink
) -> Iterator[Path]:
    """A folder with a pipeline of a name of its own, whose webhook is the sink; a secret in its address."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "home").mkdir()
    shutil.copy(empty_registry, folder / "home" / "mlflow.db")
    (folder / "loans.yaml").write_text(PIPELINE.replace("NAME", "told"))
    write_days(folder / "loans.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERTRAIN_HOME", str(folder / "home"))
        patch.setenv("TEAM_WEBHOOK", f"http://ann:{SECRET}@127.0.0.1:{sink.server_address[1]}/{SECRET}")
        # Pages of the server that ends with a CI job aren't linked.
        patch.setenv("CI", "")
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def warned() -> Iterator[list[str]]:
    """What is warned of while the module runs, in its order."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("evertrain.notices").addHandler(handler)
    yield said
    logging.getLogger("evertrain.notices").removeHandler(handler)


@pytest.fixture(scope="module")
def told(
    place: Path, training: TrainingFlow, sink: Sink, warned: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """What the webhook got of each run, the runs one after another."""
    from flows.drift_check import drift_check_flow

    heard: dict[str, list[dict[str, Any]]] = {}

    def listen(name: str, run: Callable[[], object], error: type[EvertrainError] | None = None) -> None:
        before = len(sink.got)
        if error is None:
            run()
        else:
            with pytest.raises(error):
                run()
        heard[name] = sink.got[before:]
        assert len(warned) == sum(len(told) for told in heard.values())

    def train(as_of: str, *overrides: str) -> Callable[[], object]:
        return lambda: training("loans.yaml", as_of=day(as_of), overrides=list(overrides))

    refused = "validation.expectations=[{type: expect_table_row_count_to_be_between, min_value: 99999}]"
    listen("first", train("2024-01-31"))
    listen("cached", train("2024-01-31"))
    listen("refused", train("2024-02-02", refused), DataRefused)
    listen(
        "retrained",
        lambda: drift_check_flow("loans.yaml", as_of=day("2024-02-16"), overrides=["evaluation.gates=[]"]),
    )
    return heard


def day(text: str) -> Any:
    from evertrain.pipelines import parse_as_of

    return parse_as_of(text)


def write_days(path: Path) -> None:
    """Write sixty days of loans, whose incomes jump on day 40."""
    random = np.random.default_rng(5)
    lines = ["day,income,default"]
    for number in range(60):
        income = random.normal(50, 15, 60) + (40 if number >= 40 else 0)
        late = random.normal(0, 5, 60) > income - (85 if number >= 40 else 45)
        date = np.datetime64("2024-01-01T12:00") + np.timedelta64(number, "D")
        lines += [f"{date},{amount:.2f},{int(value)}" for amount, value in zip(income, late, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def test_one_decision_is_one_notice(told: dict[str, list[dict[str, Any]]]) -> None:
    """Each run's decision is told once, a retrain with its check; an answer given before not at all."""
    assert {name: [each["event"] for each in heard] for name, heard in told.items()} == {
        "first": ["evertrain.train.promoted"],
        "cached": [],
        "refused": ["evertrain.train.refused"],
        "retrained": ["evertrain.drift.drifted"],
    }


def test_a_notice_says_what_to_know_and_to_do(told: dict[str, list[dict[str, Any]]]) -> None:
    """Title, why, the metric beside the champion's, links and the next command; the answer for programs."""
    (first,), (refused,), (retrained,) = (told[name] for name in ("first", "refused", "retrained"))
    assert first["title"] == "told: version 1 promoted"
    assert first["run"]["url"].endswith(f"/runs/flow-run/{first['run']['id']}")
    assert first["report"].endswith("reports/told/1.html")
    assert (first["owner"], first["summary"]["version"]) == ("ann@example.org", 1)
    assert refused["error"]["type"] == "DataRefused"
    assert refused["text"].splitlines()[-1] == "Next: evertrain check loans.yaml --data"
    assert retrained["summary"]["retrain"] == "started"
    assert retrained["title"] == "told: drifted, retrained: version 2 promoted"


@pytest.mark.usefixtures("told")
def test_each_decision_is_an_event_in_prefects_feed() -> None:
    """Prefect's feed has one event a decision, a nested training's too, with what it is about."""
    events = await_events({"evertrain.train.promoted", "evertrain.train.refused", "evertrain.drift.drifted"})

    names = [event["event"] for event in events]
    assert names.count("evertrain.train.refused") == 1
    assert len([name for name in names if name.startswith("evertrain.train.")]) == 3
    first = next(event for event in reversed(events) if event["event"] == "evertrain.train.promoted")
    roles = {each["prefect.resource.role"]: each["prefect.resource.id"] for each in first["related"]}
    assert roles["model-version"] == "evertrain.model-version.told.1"
    assert roles["bundle"] == f"evertrain.bundle.{first['payload']['summary']['bundle']['digest']}"
    assert roles["flow-run"] == f"prefect.flow-run.{first['payload']['run']['id']}"


@pytest.mark.usefixtures("place")
def test_a_crash_is_told_but_not_an_interrupt(sink: Sink) -> None:
    """A run ended from outside is told of, whoever finds it; one that Ctrl-C interrupts isn't."""
    from flows.telling import tell_crashed, tell_dead
    from flows.training import training_flow

    run = FlowRun(flow_id=uuid4(), name="told now", parameters={"config": "loans.yaml"})
    before = len(sink.got)

    interrupted = asyncio.run(exception_to_crashed_state(KeyboardInterrupt()))
    tell_crashed(training_flow, run, interrupted)
    assert sink.got[before:] == []
    tell_crashed(training_flow, run, Crashed(message="Execution was aborted by a termination signal."))
    tell_dead("drift_check", run, "Process 42 ended.", read_settings())
    tell_dead("training", run.model_copy(update={"parameters": {"config": "none.yaml"}}), "", read_settings())

    assert [(told["event"], told["text"].splitlines()[0]) for told in sink.got[before:]] == [
        ("evertrain.train.crashed", "Execution was aborted by a termination signal."),
        ("evertrain.drift.crashed", "Process 42 ended."),
    ]


@pytest.mark.usefixtures("told")
def test_a_rollback_is_told_too(place: Path, sink: Sink, evertrain: Callable[..., int]) -> None:
    """The command tells whom ``configs/<name>.yaml`` names, and the feed of the server that it knows of."""
    (place / "configs").mkdir()
    shutil.copy(place / "loans.yaml", place / "configs" / "told.yaml")
    before = len(sink.got)

    assert evertrain("rollback", "told", "--reason", "it did badly") == 0

    (notice,) = sink.got[before:]
    assert notice["title"] == "told: rolled back to version 1"
    (event,) = (each for each in await_events({"evertrain.rollback.done"}) if "rollback" in each["event"])
    assert (event["id"], event["payload"]) == (notice["id"], notice)


@pytest.mark.usefixtures("told")
def test_the_address_is_written_nowhere(place: Path) -> None:
    """Neither the home (journal, MLflow's database and files) nor Prefect's logs and runs hold the secret."""
    await_events({"evertrain.drift.drifted"})
    home = read_settings().home
    holding = [path for path in home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    with get_client(sync_client=True) as client:
        runs = client.request("POST", "/flow_runs/filter", json={"limit": 200}).text
        logs = client.request("POST", "/logs/filter", json={"limit": 200, "sort": "TIMESTAMP_DESC"}).text

    assert holding == []
    assert SECRET not in runs
    assert SECRET not in logs


def test_a_variable_that_is_not_set_is_one_warning(
    told: dict[str, list[dict[str, Any]]], warned: list[str]
) -> None:
    """Each run that told of a decision warned once, naming the notifier and its variable."""
    assert sum(len(heard) for heard in told.values()) == 3
    assert (
        warned[:3]
        == [
            "No notice of it went out by slack to the address in NOT_SET: "
            "the variable isn't set where this run took place."
        ]
        * 3
    )


def await_events(wanted: set[str]) -> list[dict[str, Any]]:
    """Read the feed until it has *wanted*: events travel by a thread of their own."""
    about = {"event": {"prefix": ["evertrain."]}, "resource": {"id": ["evertrain.pipeline.told"]}}
    deadline = time.monotonic() + FEED_SECONDS
    with get_client(sync_client=True) as client:
        while True:
            answer = client.request("POST", "/events/filter", json={"filter": about, "limit": 50})
            events: list[dict[str, Any]] = answer.json()["events"]
            if wanted <= {event["event"] for event in events}:
                return events
            assert time.monotonic() < deadline, [event["event"] for event in events]
            time.sleep(0.2)
