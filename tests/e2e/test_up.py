from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from flows.local_server import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.xdist_group("up")]

WAIT_SECONDS = 280
NOISE = ("Traceback", "Warning", "ERROR", "database is locked", "Error logging")
LINE = re.compile(r"\d\d:\d\d:\d\d (prefect|mlflow |service|runner |up     ) \S.*")
LAST_LINE = "Ctrl-C ends all of it"
YAML = """\
name: loans
data:
  source: {type: files, uri: loans.csv}
  target: default
training: {estimator: sklearn.linear_model.LogisticRegression}
evaluation: {task: binary_classification}
schedule: {train: "0 3 * * 1"}
"""


class Up:
    """A running `evertrain up`, in a folder of its own."""

    def __init__(self, folder: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.ports = {part: free_port() for part in ("prefect", "mlflow", "service")}
        self.environment = plain_environment(self.home) | (environment or {})
        self._log = folder / "up.log"
        named = [f"--prefect-port={self.ports['prefect']}", f"--mlflow-port={self.ports['mlflow']}"]
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command("up"), *named, f"--port={self.ports['service']}", *options],
                cwd=folder,
                env=self.environment,
                stdout=output,
                stderr=output,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_until_up(self) -> None:
        """Wait for the page of addresses."""
        await_true(lambda: LAST_LINE in self.log or self.process.poll() is not None)
        assert self.process.poll() is None, self.log

    def address(self, part: str) -> str:
        return f"http://127.0.0.1:{self.ports[part]}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type another command in the same folder."""
        return subprocess.run(
            [*command(*arguments)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    def family(self) -> list[psutil.Process]:
        """Everything that it has started and still runs, however deep."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, module: str) -> psutil.Process:
        """The process of a part."""
        return next(each for each in self.family() if module in each.cmdline())


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "evertrain.cli", *arguments]


def plain_environment(home: Path) -> dict[str, str]:
    theirs = ("CI", "PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PORT")
    kept = {name: value for name, value in os.environ.items() if name not in theirs}
    return {**kept, "EVERTRAIN_HOME": str(home)}


def await_true(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s"
        time.sleep(0.1)


def get(url: str) -> tuple[int, str]:
    """Ask as a browser would."""
    request = urllib.request.Request(url, headers={"accept": "text/html"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as reply:
        with reply:
            return reply.code, reply.read().decode()


def ask_prefect(up: Up, route: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{up.address('prefect')}/api/{route}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.loads(reply.read())


def write_project(folder: Path) -> None:
    """A pipeline that can be trained, and a YAML that is wrong."""
    random = np.random.default_rng(0)
    income = random.normal(50, 15, 400).round(2)
    default = (45 - income) / 10 + random.normal(0, 1, 400) > 0
    rows = [f"{amount},{'Yes' if late else 'No'}" for amount, late in zip(income, default, strict=True)]
    (folder / "loans.csv").write_text("\n".join(["income,default", *rows]) + "\n")
    (folder / "configs").mkdir()
    (folder / "configs" / "loans.yaml").write_text(YAML)
    (folder / "configs" / "wrong.yaml").write_text("name: wrong\n")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `up` for all tests of this module; the last one ends it."""
    folder = tmp_path_factory.mktemp("up")
    write_project(folder)
    started = Up(folder)
    try:
        started.wait_until_up()
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def test_everything_is_up_and_says_where(up: Up) -> None:
    """Each part answers at the address that the page names; what is deployed and what is wrong is shown."""
    assert get(up.address("prefect"))[0] == 200
    seen = json.loads(get(f"{up.address('prefect')}/ui-settings")[1])
    assert seen["api_url"] == f"{up.address('prefect')}/api"
    assert "MLflow" in get(up.address("mlflow"))[1]
    assert get(f"{up.address('service')}/health/live")[0] == 200
    assert get(f"{up.address('service')}/docs")[0] == 200
    for part in up.ports:
        assert up.address(part) in up.log
    assert re.search(r"loans +training +0 3 \* \* 1 \(UTC\)", up.log)
    assert "not deployed: configs/wrong.yaml" in up.log
    assert str(up.home) in up.log


def test_a_second_up_and_a_taken_port_are_refused_by_name(up: Up, tmp_path: Path) -> None:
    """The same home: with the addresses of the first. Another home: with the port and its option."""
    second = up.run("up")
    assert second.returncode == 5
    assert up.address("prefect") in second.stderr
    assert "evertrain down" in second.stderr
    options = [f"--prefect-port={up.ports['prefect']}"]
    other = subprocess.run(
        command("up", *options),
        env=plain_environment(tmp_path / "other"),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert other.returncode == 5
    assert f"Port {up.ports['prefect']}" in other.stderr
    assert "--prefect-port" in other.stderr


def test_a_train_uses_its_server_and_the_service_takes_the_champion(up: Up) -> None:
    """A command of this home starts no server of its own; its first champion is served at once."""
    assert get(f"{up.address('service')}/health/ready")[0] == 503

    done = up.run("train", "configs/loans.yaml", "--json")

    assert done.returncode == 0, done.stderr
    runs = ask_prefect(up, "flow_runs/filter", {})
    # The others are those that the schedule will have run.
    assert [run["state_type"] for run in runs if run["deployment_id"] is None] == ["COMPLETED"]
    assert {run["state_type"] for run in runs if run["deployment_id"]} == {"SCHEDULED"}
    await_true(lambda: get(f"{up.address('service')}/health/ready")[0] == 200)
    await_true(lambda: "loans" in up.log.partition(LAST_LINE)[2])


@pytest.mark.slow
@pytest.mark.fault
def test_a_part_that_dies_is_started_again(up: Up) -> None:
    """Prefect's server comes back on the same port, and the death is said; so does the service."""
    for module, part, route in (
        ("flows.server.process", "prefect", "/api/health"),
        ("serve", "service", "/health/live"),
    ):
        killed = up.part(module)
        killed.kill()
        await_true(lambda part=part: re.search(rf"{part} +is up again", up.log))
        assert f"{part} ended by signal 9; it is started again in 1 s" in re.sub(" +", " ", up.log)
        assert get(f"{up.address(part)}{route}")[0] == 200
        assert up.part(module).pid != killed.pid


@pytest.mark.slow
def test_with_a_prefect_server_of_the_user_s_none_is_started(up: Up, tmp_path: Path) -> None:
    """PREFECT_API_URL: the runner and the deployments are that server's; its address is on the page."""
    write_project(tmp_path)
    # Two installations can't share a pipeline's name on one server.
    (tmp_path / "configs" / "loans.yaml").write_text(YAML.replace("name: loans", "name: credits"))
    theirs = Up(tmp_path, "--no-mlflow", environment={"PREFECT_API_URL": f"{up.address('prefect')}/api"})
    theirs.ports["prefect"] = up.ports["prefect"]

    theirs.wait_until_up()

    assert up.address("prefect") in theirs.log
    assert not (theirs.home / "prefect" / "server.json").exists()
    theirs.process.send_signal(signal.SIGTERM)
    assert theirs.process.wait(60) == 0
    assert get(f"{up.address('prefect')}/api/health")[0] == 200


def test_ctrl_c_ends_everything_in_time(up: Up) -> None:
    """Five seconds after a Ctrl-C nothing that it started runs; each line of its log bears time and part."""
    family = up.family()
    began = time.monotonic()

    up.process.send_signal(signal.SIGINT)

    # What the machine's other load takes of it isn't `up`'s: its own limit is four seconds, then it kills.
    assert up.process.wait(60) == 0
    assert time.monotonic() - began < 15
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert not [noise for noise in NOISE if noise in up.log], up.log
    before, _, after = up.log.partition(LAST_LINE)
    lines = before.split("\n\n")[0].splitlines() + after.splitlines()[1:]
    assert [line for line in lines if line and not LINE.fullmatch(line)] == []
    assert "all has ended" in lines[-1]
    assert up.run("down").stdout.startswith("Nothing of")


@pytest.mark.slow
@pytest.mark.fault
def test_an_up_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    """After a kill -9 no part runs on, and the next `up` of the home starts."""
    (tmp_path / "configs").mkdir()
    started = Up(tmp_path, "--no-mlflow")
    started.wait_until_up()
    family = started.family()

    started.process.kill()
    started.process.wait()

    assert psutil.wait_procs(family, timeout=60)[1] == []
    second = Up(tmp_path, "--no-mlflow")
    second.wait_until_up()
    assert second.run("down").returncode == 0
    assert second.process.wait(60) == 0
    assert "evertrain init" in second.log


@pytest.mark.slow
@pytest.mark.fault
def test_a_train_whose_server_is_killed_says_so_and_the_next_goes_on(tmp_path: Path) -> None:
    """Exit 5, in our words, with what to do; the next train starts another server and finishes."""
    write_project(tmp_path)
    environment = plain_environment(tmp_path / "home")
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(
            command("train", "configs/loans.yaml"), cwd=tmp_path, env=environment, stdout=said, stderr=said
        )
        await_true(lambda: "ingest" in (tmp_path / "said").read_text() or process.poll() is not None)
        record = json.loads((tmp_path / "home" / "prefect" / "server.json").read_text())
        os.kill(record["process"]["pid"], signal.SIGKILL)
        code = process.wait(WAIT_SECONDS)
    assert code == 5, (tmp_path / "said").read_text()
    told = (tmp_path / "said").read_text()
    assert "local Prefect server" in told
    assert not [noise for noise in NOISE if noise in told], told

    again = subprocess.run(
        command("train", "configs/loans.yaml", "--json"),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    ended = subprocess.run(
        command("down", "--json"), cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert again.returncode == 0, again.stderr
    assert len(json.loads(ended.stdout)["ended"]) == 1


HOLD = """
import sys
from evertrain.settings import read_settings
from flows.local_server import prefect_api
with prefect_api(read_settings()) as server:
    server.wait_until_ready()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_up_takes_over_an_idle_server_once_nobody_uses_it(tmp_path: Path) -> None:
    """It waits for the command that uses the home's server, and says for which."""
    (tmp_path / "long_train.py").write_text(HOLD)
    user = subprocess.Popen(
        [sys.executable, str(tmp_path / "long_train.py"), "a.yaml"],
        env=plain_environment(tmp_path / "home"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "ready\n"
    (tmp_path / "configs").mkdir()
    started = Up(tmp_path, "--no-mlflow")
    await_true(lambda: "waits for the end of" in started.log)
    assert f"waits for the end of long_train.py a.yaml (pid {user.pid})," in started.log
    user.communicate("")

    started.wait_until_up()

    record = json.loads((tmp_path / "home" / "prefect" / "server.json").read_text())
    assert record["port"] == started.ports["prefect"]
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(60) == 0
