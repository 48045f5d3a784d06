"""Tests of what a user sees and does in Prefect's and MLflow's own pages, in a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.services,
    pytest.mark.xdist_group("prefect-ui"),
    pytest.mark.timeout(900),
]

WAIT_SECONDS = 280
RELOADS = 14
LAST_LINE = "Ctrl-C ends all of it"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
YAML = """\
name: loans
description: Will this loan be paid back?
data:
  source: {type: files, uri: loans.csv}
  timestamp: asked
  target: late
training: {estimator: sklearn.linear_model.LogisticRegression}
evaluation: {task: binary_classification, metrics: [roc_auc, log_loss]}
"""
DRIFT = 'drift: {schedule: "* * * * *", current: {from: source, window: 7d, min_rows: 50}}\n'
STEPS = ("ingest", "validate", "train", "package", "evaluate", "register", "promote", "report")


class Desk:
    """Somebody at a browser, whose `evertrain up` runs in another window."""

    def __init__(self, folder: Path, page: Any, ports: dict[str, int], environment: dict[str, str]) -> None:
        self.folder = folder
        self.page = page
        self.environment = environment
        self.asked: list[str] = []
        self._ports = ports
        for ending in ("requestfinished", "requestfailed"):
            page.on(ending, self._note)

    def address(self, part: str) -> str:
        return f"http://127.0.0.1:{self._ports[part]}"

    def _note(self, request: Any) -> None:
        # What the pages would ask of others is in their code; that the browser doesn't let them is ours.
        if request.failure not in ("csp", "net::ERR_BLOCKED_BY_CSP"):
            self.asked.append(request.url)

    def open_deployment(self, flow: str) -> None:
        """From Prefect's first page, as it opens, to the pipeline's deployment of *flow*."""
        self.page.goto(self.address("prefect"))
        self.page.get_by_role("link", name="Deployments").first.click()
        row = self.page.get_by_role("row").filter(has_text=flow)
        row.get_by_role("link", name="loans").first.click()
        self.page.get_by_role("button", name="Run", exact=True).wait_for()

    def fill_in(self, override: str) -> None:
        """Open the form of a custom run; give it 1 October 2024 as its as-of, and *override*."""
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_text("Custom run").click()
        self.page.get_by_text("MM/DD/YYYY").click()
        self.page.get_by_label("Choose the Year").select_option("2024")
        self.page.get_by_label("Choose the Month").select_option("Oct")
        self.page.get_by_role("button", name="October 1st, 2024").click()
        self.page.keyboard.press("Escape")
        self.page.get_by_role("button", name="Add item").click()
        self.page.get_by_role("textbox").last.fill(override)

    def submit(self) -> str:
        """Send the form off, and go to the run's page; gives the run's id."""
        self.page.get_by_role("button", name="Submit").click()
        self.page.get_by_role("button", name="View run").or_(
            self.page.get_by_role("link", name="View run")
        ).first.click()
        self.page.wait_for_url("**/runs/flow-run/**")
        return urlsplit(self.page.url).path.rsplit("/", 1)[1]

    def open_run(self, run_id: str) -> None:
        """Its page, which shows the log first."""
        self.page.goto(f"{self.address('prefect')}/v2/runs/flow-run/{run_id}")

    def read_tab(self, name: str, *, until: str) -> str:
        """What a tab of the run's page says, once it says *until*."""
        panel = self.page.get_by_role("tabpanel", name=name)
        self._reload_until(panel.get_by_text(until).first, name)
        return str(panel.inner_text())

    def open_artifact(self, key: str, *, until: str) -> str:
        """Click an artifact of the run; gives what its page says, once it says *until*."""
        entry = self.page.get_by_role("tabpanel", name="Artifacts").get_by_text(key, exact=True)
        self._reload_until(entry, "Artifacts")
        entry.click()
        self.page.get_by_text(until).first.wait_for()
        return str(self.page.locator("body").inner_text())

    def _reload_until(self, seen: Any, tab: str) -> None:
        """Open *tab* until something is seen: an ended run's page does not ask again."""
        from playwright.sync_api import TimeoutError as NotSeen

        for _ in range(RELOADS):
            self.page.get_by_role("tab", name=tab).click()
            try:
                seen.wait_for(timeout=WAIT_SECONDS * 1000 / RELOADS)
            except NotSeen:
                self.page.reload()
            else:
                return
        raise AssertionError(f"not on the tab {tab}: {self.page.locator('body').inner_text()}")

    def ask_prefect(self, route: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.address('prefect')}/api/{route}", data, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())

    def await_end(self, run_id: str) -> str:
        """The name of the state in which a run ends."""
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return str(
            await_true(
                lambda: (
                    (state := self.ask_prefect(f"flow_runs/{run_id}")["state"])["type"] in final
                    and state["name"]
                )
            )
        )

    def read_log(self) -> str:
        """All that was logged by runs, for who asks why one ended so."""
        lines = self.ask_prefect("logs/filter", {"sort": "TIMESTAMP_ASC"})
        return "\n".join(line["message"] for line in lines)


def await_true(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s"
        time.sleep(0.2)
    return found


def write_project(folder: Path) -> None:
    """Three months of loans; in the last ten days of October 2024 incomes are higher."""
    random = np.random.default_rng(0)
    first = datetime(2024, 8, 1, tzinfo=UTC)
    lines = ["asked,income,late"]
    for number in range(91 * 12):
        asked = first + timedelta(hours=2 * number)
        late = asked.month == 10 and asked.day > 20
        income = random.normal(80 if late else 50, 15)
        is_late = (45 - income) / 10 + random.normal() > 0
        lines.append(f"{asked:%Y-%m-%dT%H:%M:%S},{income:.2f},{str(is_late).lower()}")
    (folder / "loans.csv").write_text("\n".join(lines) + "\n")
    (folder / "configs").mkdir()
    (folder / "configs" / "loans.yaml").write_text(YAML)


def free_ports(*names: str) -> dict[str, int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(PROGRAMS)} is installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture(scope="module")
def desk(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One `up` with one pipeline, and one page of the browser, for all tests here."""
    folder = tmp_path_factory.mktemp("ui")
    write_project(folder)
    ports = free_ports("prefect", "mlflow", "service")
    theirs = ("CI", "PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PORT")
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    environment["EVERTRAIN_HOME"] = str(folder / "home")
    log = folder / "up.log"
    options = [
        f"--prefect-port={ports['prefect']}",
        f"--mlflow-port={ports['mlflow']}",
        f"--port={ports['service']}",
    ]
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "evertrain.cli", "up", *options],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        await_true(lambda: LAST_LINE in log.read_text() or up.poll() is not None)
        assert up.poll() is None, log.read_text()
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(WAIT_SECONDS * 1000)
        yield Desk(folder, page, ports, environment)
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)


def test_a_training_is_started_by_the_form(desk: Desk) -> None:
    """The form names each field in words; the run that it starts ends, with its steps and what each found."""
    desk.open_deployment("training")
    desk.page.get_by_role("tab", name="Description").click()
    desk.page.get_by_text("Will this loan be paid back?").wait_for()
    desk.fill_in("training.params.C=0.5")
    form = desk.page.locator("body").inner_text()
    for words in ("Everything later is hidden", "Who asks; the journal says so", "10/01/2024 12:00 AM"):
        assert words in form
    run = desk.submit()

    assert desk.await_end(run) == "Completed", desk.read_log()

    desk.open_run(run)
    log = desk.read_tab("Logs", until="report")
    assert "promote: version 1 promoted" in log
    assert "Traceback" not in log
    tasks = desk.read_tab("Task Runs", until="report").split()
    assert set(STEPS) <= set(tasks)
    assert "loans 2024-10-01" in desk.page.locator("body").inner_text()


def test_its_artifacts_are_tables_and_a_link_to_mlflow(desk: Desk) -> None:
    """Verdicts are tables; links open the run's page in MLflow, with its metrics, and the report."""
    [run] = desk.ask_prefect("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    desk.open_run(run["id"])
    gates = desk.open_artifact("loans-gates", until="there is no champion to compare with")
    assert "beats_champion" in gates
    desk.open_run(run["id"])
    desk.open_artifact("loans-mlflow-run", until="The run of version 1")
    links = {
        name: desk.page.get_by_role("link", name=name).get_attribute("href")
        for name in ("The run in MLflow", "Its report")
    }

    desk.page.goto(links["The run in MLflow"])

    desk.page.get_by_text("roc_auc_low").first.wait_for()
    desk.page.get_by_text("loans 2024-10-01").first.wait_for()
    assert desk.page.url.startswith(desk.address("mlflow"))
    # A CI system's summary has the short address, which leads to the same page.
    desk.page.goto("about:blank")
    desk.page.goto(f"{desk.address('mlflow')}/#/runs/{links['The run in MLflow'].rpartition('/')[2]}")
    desk.page.get_by_text("roc_auc_low").first.wait_for()
    desk.page.goto("about:blank")
    desk.page.goto(links["Its report"])
    await_true(lambda: any("this version is the champion" in read(frame) for frame in desk.page.frames))


def test_a_run_that_fails_says_why(desk: Desk) -> None:
    """A wrong override: the run's page names field, what was found, what was expected; no traceback."""
    desk.open_deployment("training")
    desk.fill_in("training.params.C=banana")
    run = desk.submit()

    assert desk.await_end(run) == "Failed"

    desk.open_run(run)
    log = desk.read_tab("Logs", until="banana")
    assert 'training.params.C: "banana"; expected a float' in log
    assert "Traceback" not in log
    assert "banana" in desk.read_tab("Details", until="State Message")


def test_a_scheduled_check_starts_a_retrain(desk: Desk) -> None:
    """Once its schedule is deployed the check runs by itself, sees the drift, and shows its retrain."""
    with (desk.folder / "configs" / "loans.yaml").open("a") as file:
        file.write(DRIFT)
    deploy = [sys.executable, "-m", "evertrain.cli", "deploy"]
    subprocess.run(
        deploy, cwd=desk.folder, env=desk.environment, check=True, capture_output=True, timeout=WAIT_SECONDS
    )
    desk.open_deployment("drift_check")
    desk.page.get_by_text("Every minute").first.wait_for()

    asked = {"flows": {"name": {"any_": ["drift_check"]}}, "sort": "START_TIME_ASC"}
    checks = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "COMPLETED", "FAILED", "CRASHED"]}}}}
    first = await_true(lambda: desk.ask_prefect("flow_runs/filter", asked | checks))[0]

    assert desk.await_end(first["id"]) == "Completed", desk.read_log()
    assert "auto-scheduled" in first["tags"]
    desk.open_run(first["id"])
    assert "Completed" in desk.read_tab("Subflow Runs", until="loans 2024-10-3")
    columns = desk.open_artifact("loans-drift", until="income")
    assert "drifted; retrain: started" in columns


def test_no_page_asks_anything_of_the_world(desk: Desk) -> None:
    """Neither Prefect's pages nor MLflow's, as `up` serves them, load or send anything elsewhere."""
    hosts = {urlsplit(url).hostname for url in desk.asked if urlsplit(url).scheme in ("http", "https", "ws")}

    assert hosts == {"127.0.0.1"}


def read(frame: Any) -> str:
    """What a frame says; nothing while it is still loading."""
    from playwright.sync_api import Error

    try:
        return str(frame.locator("body").inner_text(timeout=5000))
    except Error:
        return ""
