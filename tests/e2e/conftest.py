"""Owns real services for the tests: PostgreSQL, S3, MLflow and Prefect, started as operations.md says."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
HEADING = "## On services of your own"
RUNS, TRAINS, SERVES, DEPLOYS = range(4)
WAIT_SECONDS = 900
BUCKETS = ("evertrain", "mlflow")
PASSWORD = "made-up-password"


class Server:
    """A process that can be killed, and started again on the same port and data."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        is_ready: Callable[[], bool],
        *,
        environment: Mapping[str, str] | None = None,
        whose: Mapping[str, Any] | None = None,
    ) -> None:
        self.command = command
        self.folder = folder
        self.log = folder / "log"
        self._is_ready = is_ready
        self._environment = {**os.environ, **(environment or {})}
        self._whose = dict(whose or {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self._environment,
                stdout=output,
                stderr=output,
                # Its own children are killed with it.
                start_new_session=True,
                **self._whose,
            )
        wait_until(lambda: self.is_gone() or self._is_ready())
        assert not self.is_gone(), self.log.read_text()[-4000:]

    def is_gone(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """As the kernel would for want of memory, children too."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)


class Services:
    """The four servers, and the environment in which a user works with them."""

    def __init__(self, folder: Path, private: Path, root: ModuleType) -> None:
        self._root = root
        ports = root.free_ports(6)
        self.s3 = root.S3Server(f"http://127.0.0.1:{ports[3]}")
        self.mlflow_url = f"http://127.0.0.1:{ports[4]}"
        self.prefect_url = f"http://127.0.0.1:{ports[5]}"
        command, whose, self._administrator = root.make_postgres(private)
        self._said = {
            "https://s3.example.org": self.s3.endpoint,
            "https://mlflow.example.org": self.mlflow_url,
            "https://prefect.example.org": self.prefect_url,
            "db.example.org": self._administrator.rpartition("@")[2].removesuffix("/postgres"),
            "--port 5000": f"--port {ports[4]}",
            "--port 4200": f"--port {ports[5]}",
            "http://127.0.0.1:4200": self.prefect_url,
            "PASSWORD": PASSWORD,
            "WRITER-KEY": self.s3.access_key,
            "WRITER-SECRET": self.s3.secret_key,
            "READER-KEY": self.s3.reader_key,
            "READER-SECRET": self.s3.reader_secret,
        }
        folders = {name: folder / name for name in ("s3", "mlflow", "prefect")}
        for each in folders.values():
            each.mkdir()
        weed = root.weed_command(folders["s3"], self.s3, ports[:4])
        few_volumes = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        self.servers = {
            "postgres": Server(command, private, self._takes_queries, whose=whose),
            "s3": Server(weed, folders["s3"], self._takes_writes, environment=few_volumes),
            "mlflow": self._documented("mlflow server", folders["mlflow"], f"{self.mlflow_url}/health"),
            "prefect": self._documented(
                "prefect server", folders["prefect"], f"{self.prefect_url}/api/health"
            ),
        }

    def start(self) -> None:
        """Start them side by side, those that need a database after it."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(self._start, ("postgres", "s3")))
            list(threads.map(self._start, ("mlflow", "prefect")))

    def kill(self) -> None:
        for server in self.servers.values():
            server.kill()

    def environment(self, *, reads_only: bool = False) -> dict[str, str]:
        """What operations.md has those export who train, or those who only serve."""
        return exported(self.block(SERVES if reads_only else TRAINS))

    def block(self, number: int) -> str:
        """Read a block of the documentation's commands, with addresses and passwords that are real here."""
        section = (ROOT / "docs" / "operations.md").read_text().partition(HEADING)[2].partition("\n## ")[0]
        text = re.findall(r"```sh\n(.*?)```", section.replace("\\\n", " "), flags=re.DOTALL)[number]
        for said, meant in self._said.items():
            text = text.replace(said, meant)
        return str(text)

    def _documented(self, program: str, folder: Path, health: str) -> Server:
        block = self.block(RUNS)
        [line] = [line for line in block.splitlines() if f" {program} " in f" {line}"]
        words = shlex.split(line)
        first = words.index(program.split(maxsplit=1)[0])
        given = exported(block) | dict(word.split("=", 1) for word in words[:first])
        command = [str(PROGRAMS / words[first]), *words[first + 1 :]]
        return Server(command, folder, lambda: answers(health), environment=given)

    def _start(self, name: str) -> None:
        self.servers[name].start()
        if name == "postgres":
            with psycopg.connect(self._administrator, autocommit=True) as connection:
                for each in ("mlflow", "prefect"):
                    connection.execute(f"CREATE ROLE {each} LOGIN PASSWORD '{PASSWORD}'")
                    connection.execute(f"CREATE DATABASE {each} OWNER {each}")
        if name == "s3":
            for bucket in BUCKETS:
                self.s3.client().create_bucket(Bucket=bucket)

    def _takes_queries(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self._administrator, connect_timeout=5):
            return True
        return False

    def _takes_writes(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.s3.client()
        # A bucket of its own each time: one that was made before its first object could be put stays there.
        bucket = f"ready-{secrets.token_hex(4)}"
        with suppress(BotoCoreError, ClientError):
            client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key="ready", Body=b"ready")
            client.delete_bucket(Bucket=bucket)
            return True
        return False

    def keys(self, prefix: str) -> list[str]:
        """What the installation's store holds below *prefix*."""
        where = self.environment()["EVERTRAIN_STORE"].removeprefix("s3://")
        bucket, _, folder = where.partition("/")
        pages = self.s3.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=bucket, Prefix=f"{folder}/{prefix}")
        return [each["Key"].removeprefix(f"{folder}/") for page in found for each in page.get("Contents", ())]

    def prefect(self, path: str, body: Any = None) -> Any:
        """Ask Prefect's API as its page does."""
        return ask(f"{self.prefect_url}/api/{path}", body)

    def find_end(self, run_id: str) -> dict[str, Any] | None:
        """The state in which a flow run ended; None while it goes on."""
        state: dict[str, Any] = self.prefect(f"flow_runs/{run_id}")["state"]
        return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    def registered_versions(self, name: str) -> list[int]:
        """The versions of a model that MLflow has, in their order."""
        asked = urllib.parse.urlencode({"filter": f"name = '{name}'"})
        found = ask(f"{self.mlflow_url}/api/2.0/mlflow/model-versions/search?{asked}")
        return sorted(int(each["version"]) for each in found["model_versions"])


def exported(block: str) -> dict[str, str]:
    """Read what the lines of *block* export."""
    words = [
        shlex.split(line, comments=True)[1:] for line in block.splitlines() if line.startswith("export ")
    ]
    return dict(word.split("=", 1) for line in words for word in line)


def answers(url: str) -> bool:
    """Whether a health route says yes."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as reply:
        return bool(reply.status == 200)
    return False


def ask(url: str, body: Any = None) -> Any:
    """GET, or POST *body*, JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.loads(reply.read())


def wait_until(holds: Callable[[], Any]) -> Any:
    """Wait until *holds* gives something true; gives it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """All four, up; started once a session. A test that kills one starts it again."""
    root = request.config.pluginmanager.getplugin(str(ROOT / "tests" / "conftest.py"))
    # Not below pytest's folders: PostgreSQL refuses to be root, and nobody else may look into those.
    private = Path(tempfile.mkdtemp(prefix="evertrain-postgres-"))
    found = Services(tmp_path_factory.mktemp("services"), private, root)
    try:
        found.start()
        yield found
    finally:
        found.kill()
        shutil.rmtree(private)


@pytest.fixture(scope="session")
def await_true() -> Callable[[Callable[[], Any]], Any]:
    """Waits for a condition, within limits."""
    return wait_until
